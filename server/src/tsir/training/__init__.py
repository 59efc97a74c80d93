"""Training of the encoders: data, synthetic sketches, losses, models, loop and export. Needs the ``train`` extra.

Two recipes stand here; a config (`server/configs/*.yaml`) names one, and `tsir train CONFIG` runs it.

``task_former.py`` fine-tunes the paper's ViT-B/16 in one piece, on GPUs. Nothing of it ships.

``lite.py`` makes the model that ships, on two CPU cores, in ten stages. Each reads what the ones before it left and can be run alone
(`stages=[...]`); a stage that is done is loaded, not trained again.

    captions ──┐
    sketches ──┴─ export ──┬─ drawing ──────────┬─ hubs ─ things ─ places ─ depicted
                           └─ wording ─ heads ──┘

| stage | module | made from | leaves | in what ships |
|---|---|---|---|---|
| captions | lite, towers, minilm | captions, emoji names, pseudo-labels | photo branch `words`, text tower | the photo graph |
| sketches | lite, towers | pairs of photo and sketch, QuickDraw | photo branch `shapes`; a sketch tower, left behind | the photo graph |
| export | export | the two above | int8 graphs of photos and texts | image.*, tokenizer.json |
| wording | wording | the photo graph | the text tower once more, against finished photos | text.* |
| heads | wording | the text tower, captions of COCO, too | the text tower's head once more | text.* |
| drawing | drawing, drawings, augment | photo and text graphs | two towers for drawings | sketch.*, drawing.* |
| hubs | hubs | all graphs, banks of queries | photos near too many queries are held back | two coordinates of all graphs |
| things | things | all graphs | where drawings of known things are pulled to | things.npy |
| places | places, scenes | photo and sketch graphs, boxes, QuickDraw | what is where in photos and drawings | image.*, sketch.* |
| depicted | depicted | all graphs, captions | what words say of how things look and where they stand | depicted.npz |

`drawing` and `wording` need `export` and nothing of each other; `hubs` comes after both, since it changes what graphs say; then
`things`, `places`, and `depicted` last. `heads` and `places` have run in miniature only, in the tests: what ships of them was trained by
quicker forerunners with the same data and losses. `docs/trials.md` says what each gave, and what was tried besides.

Beside the stages: `corpus`, `data`, `icons`, `words`, `imported` (what is learnt from), `cache` (lower trunks run once), `tokens`,
`losses`, `efficientnet`, `loop` (steps, checkpoints, several processes).
"""
