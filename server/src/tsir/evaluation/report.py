"""The evaluation as a page: failures first, each query beside what it found, all in one file."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path

from PIL import Image as PILImage
from PIL import ImageOps

from tsir.errors import InvalidInput
from tsir.evaluation.evaluate import Report, Result, shown
from tsir.evaluation.metrics import CUTS

FAILURES = 30  # queries shown whose target is not among the first hits, the worst first
NEAR = 15  # shown with the target among them, but not first
FOUND = 15  # shown with the target first
THUMBNAIL = 128  # px; a page of 60 queries in three modalities stays under some 6 MB
RANK_BINS = ((1, 1), (2, 5), (6, 10), (11, 50), (51, 200), (201, None))
MEASURES = {
    "recall@1": "the right picture is first, %",
    "recall@5": "among the first 5, %",
    "recall@10": "among the first 10, %",
    "median_rank": "rank of the right picture, median",
    "mrr": "mean of 1 / rank",
    "class_precision@10": "first 10 of the right class, %",
}


def write_html(report: Report, path: Path) -> None:
    """Write the page. It needs no other file and no network. Raises InvalidInput when it cannot be written."""
    page = _page(report)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"The report cannot be written to {path}: {error.strerror}.") from None


def _page(report: Report) -> str:
    pictures = _Pictures(report)
    by_query: dict[int, dict[str, Result]] = {}
    for name, measured in report.modalities.items():
        for result in measured.results:
            by_query.setdefault(id(result.query), {})[name] = result
    # A query is judged by its richest modality: what a person who gave both would see.
    judged = [(list(results.values())[-1].rank, results) for results in by_query.values()]
    last = CUTS[-1]
    failed = sorted((item for item in judged if item[0] > last), key=lambda item: -item[0])
    near = sorted((item for item in judged if 1 < item[0] <= last), key=lambda item: -item[0])
    found = [item for item in judged if item[0] == 1]
    groups = "".join(
        _group(title, note, items, bound, report, pictures, is_open)
        for title, note, items, bound, is_open in (
            ("Failures", f"the right picture is not among the first {last}, the worst first", failed, FAILURES, True),
            ("Near", f"among the first {last}, but not first", near, NEAR, not failed),
            ("Found", "the right picture is first", found, FOUND, not failed and not near),
        )
    )
    body = _head(report) + _table(report) + _histograms(report) + groups + _unreadable(report)
    title = html.escape(f"{report.encoder} on {report.benchmark.source.name}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
        f"<title>{title}</title>\n<style>{_STYLE}{pictures.css()}</style>\n</head>\n<body>\n<main>{body}</main>\n</body>\n</html>\n"
    )


def _head(report: Report) -> str:
    mix = ", ".join(f"{part} × {weight:g}" for part, weight in report.weights.items())
    facts = [f"{len(report.benchmark.names):,} pictures", f"encoder {report.encoder}, fingerprint {report.fingerprint}"]
    facts += [f"both = {mix}"] if "both" in report.modalities else []
    facts += [f"encoded in {report.seconds:.1f} s"]
    source = f"{report.benchmark.source.parent.name}/{report.benchmark.source.name}"
    return f"<h1>{html.escape(source)}</h1>\n<p class=facts>{html.escape(' · '.join(facts))}</p>\n"


def _table(report: Report) -> str:
    names = list(report.modalities)
    rows = [
        "<tr><td></td>" + "".join(f"<th scope=col>{name}</th>" for name in names) + "</tr>",
        "<tr><th scope=row>queries</th>" + "".join(f"<td>{len(report.modalities[name].results):,}</td>" for name in names) + "</tr>",
    ]
    for measure, meaning in MEASURES.items():
        cells = ""
        for measured in report.modalities.values():
            if measure in measured.values:
                low, high = (shown(measure, bound) for bound in measured.intervals[measure])
                cells += f"<td><b>{shown(measure, measured.values[measure])}</b> <small>{low}–{high}</small></td>"
            else:
                cells += "<td></td>"
        if "<b>" in cells:
            rows.append(f"<tr><th scope=row>{measure} <small>{meaning}</small></th>{cells}</tr>")
    return f"<div class=wide><table>{''.join(rows)}</table></div>\n<p class=facts>Small numbers: 95% bootstrap interval over queries.</p>\n"


def _histograms(report: Report) -> str:
    """Where the right pictures stand, a bar per range of ranks."""
    charts = ""
    for name, measured in report.modalities.items():
        bars = ""
        for low, high in RANK_BINS:
            number = sum(low <= result.rank and (high is None or result.rank <= high) for result in measured.results)
            share = 100 * number / len(measured.results)
            label = str(low) if low == high else f"{low}–{high}" if high else f"over {low - 1}"
            miss = " miss" if low > CUTS[-1] else ""
            bars += f'<dt>{label}</dt><dd><i class="bar{miss}" style="width:{share:.2f}%"></i><span>{number:,}</span></dd>'
        charts += f"<figure><figcaption>{name}: rank of the right picture</figcaption><dl>{bars}</dl></figure>"
    return f"<div class=charts>{charts}</div>\n"


def _group(
    title: str, note: str, items: list[tuple[int, dict[str, Result]]], bound: int, report: Report, pictures: _Pictures, is_open: bool
) -> str:
    shown = items[:bound]
    if len(items) > bound and title == "Found":  # spread over the file rather than its beginning
        shown = [items[place * len(items) // bound] for place in range(bound)]
    some = f", {bound} of them shown" if len(items) > bound else ""
    queries = "".join(_query(results, report, pictures) for _, results in shown)
    summary = f"<summary><h2>{title}</h2> <span>{len(items):,} {'query' if len(items) == 1 else 'queries'}: {note}{some}</span></summary>"
    return f"<details{' open' if is_open else ''}>{summary}{queries}</details>\n"


def _query(results: dict[str, Result], report: Report, pictures: _Pictures) -> str:
    query = next(iter(results.values())).query
    sketch = pictures.show(query.sketch, f"Sketch of query {query.id}", "sketch") if query.sketch else ""
    words = f"<blockquote>{html.escape(query.text)}</blockquote>" if query.text else ""
    kind = f" · {html.escape(query.class_name)}" if query.class_name else ""
    rows = "".join(_row(name, result, report, pictures) for name, result in results.items())
    return f"<article><header>{sketch}{words}<p class=id>{html.escape(query.id)}{kind}</p></header><div class=rows>{rows}</div></article>\n"


def _row(name: str, result: Result, report: Report, pictures: _Pictures) -> str:
    """The first hits of one modality; the best target follows behind a gap when it is not among them."""
    names = report.benchmark.names
    cells = ""
    for place, score in zip(result.top, result.scores, strict=True):
        right = place in result.query.targets
        label = f"{'The right picture: ' if right else ''}{names[place]}, score {score:.3f}"
        cells += pictures.show(report.benchmark.path(place), label, "hit right" if right else "hit")
    if not set(result.top) & set(result.query.targets):
        cells += "<span class=gap>…</span>" + pictures.show(
            report.benchmark.path(result.target), f"The right picture: {names[result.target]}, rank {result.rank}", "hit right"
        )
    good = " good" if result.rank <= CUTS[-1] else ""
    return f'<div class=row><span class="rank{good}"><b>#{result.rank:,}</b><small>{name}</small></span><div class=hits>{cells}</div></div>'


def _unreadable(report: Report) -> str:
    if not report.unreadable:
        return ""
    items = "".join(f"<li>{html.escape(name)}: {html.escape(reason)}</li>" for name, reason in report.unreadable.items())
    summary = f"<summary><h2>Left out</h2> <span>pictures that cannot be read: {len(report.unreadable):,}</span></summary>"
    return f"<details>{summary}<ul>{items}</ul></details>"


class _Pictures:
    """Thumbnails, each inlined once however often it is shown, as the background of a style class."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._known: dict[Path | bytes, tuple[int, str]] = {}

    def show(self, path: Path | bytes, label: str, kind: str) -> str:
        number, _ = self._known.get(path) or self._known.setdefault(path, (len(self._known), _thumbnail(path)))
        text = html.escape(label, quote=True)
        return f'<i class="{kind} p{number}" role=img aria-label="{text}" title="{text}"></i>'

    def css(self) -> str:
        return "".join(f".p{number}{{background-image:url({uri})}}" for number, uri in self._known.values() if uri)


def _thumbnail(path: Path | bytes) -> str:
    """A data URI; empty for a picture that cannot be read."""
    try:
        with PILImage.open(io.BytesIO(path) if isinstance(path, bytes) else path) as image:
            image.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))
            small = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, ValueError, SyntaxError):
        return ""
    small.thumbnail((THUMBNAIL, THUMBNAIL), PILImage.Resampling.LANCZOS)
    ground = PILImage.new("RGBA", small.size, "white")
    data = io.BytesIO()
    PILImage.alpha_composite(ground, small).convert("RGB").save(data, "WEBP", quality=70, method=4)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"


_STYLE = """
:root{color-scheme:light dark;
  --ground:#fbfaf7;--paper:#fff;--ink:#1d1f24;--soft:#686d78;--line:#e3e1da;--right:#0b8a5f;--miss:#d1495b;--bar:#0b8a5f}
@media(prefers-color-scheme:dark){:root{
  --ground:#14161a;--paper:#1c1f25;--ink:#eceae4;--soft:#9aa0ac;--line:#2e323b;--right:#3ecf98;--miss:#ff7b89;--bar:#2f9e76}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:19px;margin:0;display:inline}
.facts,small,summary span,.id{color:var(--soft)}
.facts{margin:0 0 20px;font-size:13px}
.wide{overflow-x:auto}
table{border-collapse:collapse;background:var(--paper);border:1px solid var(--line);border-radius:10px;margin-bottom:6px}
td,th{padding:7px 16px;text-align:right;font-weight:400;white-space:nowrap;border-top:1px solid var(--line)}
td,th{font-variant-numeric:tabular-nums}
tr:first-child>*{border-top:0}
th[scope=row]{text-align:left}
th[scope=col]{font-weight:600}
td b{font-size:16px}
small{font-size:12px}
.charts{display:flex;flex-wrap:wrap;gap:16px;margin:0 0 28px}
figure{flex:1 1 260px;margin:0;background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:12px 16px}
figcaption{font-size:13px;color:var(--soft);margin-bottom:8px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 10px;margin:0;font-size:13px;font-variant-numeric:tabular-nums}
dt{text-align:right;color:var(--soft)}
dd{margin:0;display:flex;align-items:center;gap:8px;padding-right:4em}
.bar{display:block;height:14px;min-width:1px;border-radius:3px;background:var(--bar)}
.bar.miss{background:var(--miss)}
details{margin:0 0 20px}
summary{cursor:pointer;padding:8px 0;border-bottom:1px solid var(--line);margin-bottom:14px}
article{display:grid;grid-template-columns:190px 1fr;gap:16px;padding:14px;margin-bottom:12px}
article{background:var(--paper);border:1px solid var(--line);border-radius:10px}
article header{min-width:0;overflow-wrap:anywhere}
blockquote{margin:0 0 6px;font-size:15px;line-height:1.35}
.id{font-size:12px;margin:0}
.sketch,.hit{display:inline-block;background:#fff center/contain no-repeat;border-radius:6px}
.sketch{width:128px;height:128px;border:1px solid var(--line);margin-bottom:8px}
.rows{min-width:0;display:grid;gap:10px;align-content:center}
.row{display:grid;grid-template-columns:64px 1fr;gap:10px;align-items:center}
.rank b{display:block;font-size:17px;line-height:1.2;color:var(--miss);font-variant-numeric:tabular-nums}
.rank.good b{color:var(--right)}
.hits{display:grid;grid-template-columns:repeat(10,minmax(0,80px)) 18px minmax(0,80px);gap:7px;align-items:center}
.hit{aspect-ratio:1;background-size:cover}
.hit.right{outline:3px solid var(--right);outline-offset:1px}
.gap{color:var(--soft);text-align:center}
@media(max-width:820px){article{grid-template-columns:1fr}.hits{grid-template-columns:repeat(5,minmax(0,80px)) 18px minmax(0,80px)}}
"""
