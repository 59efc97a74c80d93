"""Training of the encoders: data, synthetic sketches, losses, models, loop and export. Needs the ``train`` extra.

Two recipes stand here; a config (`server/configs/*.yaml`) names one, and `tsir train CONFIG` runs it.

``task_former.py`` fine-tunes the paper's ViT-B/16 in one piece, on GPUs. Nothing of it ships.

``lite.py`` makes the model that ships, on two CPU cores, in eight stages. Each reads what the ones before it left and can be run alone
(`stages=[...]`); a stage that is done is loaded, not trained again.

    captions ──┐                        photos: branch `words`; text tower            checkpoint
    sketches ──┴─ joining ─ export ──┬─ drawing ──┐                                   graphs: image, text, tokenizer
        photos: branch `shapes`;     │    two     ├─ hubs ─ things                    graphs: sketch, drawing; things.npy
        first sketch tower           └─ wording ──┘

| stage | module | made from | leaves | in what ships |
|---|---|---|---|---|
| captions | lite, towers, minilm | captions, emoji names, pseudo-labels | photo branch `words`, text tower | the photo graph |
| sketches | lite, towers | pairs of photo and sketch, classes, QuickDraw | photo branch `shapes`, a first sketch tower | the photo graph |
| joining | lite | the two above | the first sketch tower's head `words` | nothing: it teaches the branches what they share |
| export | export | the three above | int8 graphs of photos, texts and sketches | image.*, tokenizer.json |
| wording | wording | the photo graph | the text tower once more, against finished photos | text.* |
| drawing | drawing, drawings, augment | photo and text graphs | two towers for drawings, in place of the first | sketch.*, drawing.* |
| hubs | hubs | all graphs, banks of queries | photos near too many queries are held back | two coordinates of all graphs |
| things | things | all graphs | where drawings of known things are pulled to | things.npy |

`drawing` and `wording` need `export` and nothing of each other; `hubs` comes after both, since it changes what graphs say; `things` comes
last. The model card says what each gave, and what was tried besides.

Beside the stages: `corpus`, `data`, `icons`, `words`, `imported` (what is learnt from), `cache` (lower trunks run once), `tokens`,
`losses`, `efficientnet`, `loop` (steps, checkpoints, several processes).
"""
