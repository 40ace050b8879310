"""Style and script of the page that `inspect_page.py` writes, as text: the page is one file.

The script adds to the page and is not needed to read it: it lights up a span everywhere at once and
says for a place of a mask who looks at whom.
"""

PAGE_OPENING = "<!doctype html>"
"""How a page begins; `inspect.write_page` replaces no file that begins otherwise."""

STYLE = """
:root{color-scheme:light dark;
  --paper:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--card:#f6f8fa;--link:#0550ae;
  --none:#8b98a5;--c1:#e69f00;--c2:#56b4e9;--c3:#009e73;--c4:#d9c400;--c5:#5a74d8;--c6:#d55e00;
  --c7:#cc79a7}
@media (prefers-color-scheme:dark){:root{--paper:#0d1117;--ink:#e6edf3;--soft:#9da7b1;
  --line:#373e47;--card:#161b22;--link:#79b8ff;--none:#6b7885;--c5:#8c9eff;--c4:#f0e442}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1.5rem;background:var(--paper);color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC",
  sans-serif}
h1{font-size:1.6rem;margin:0 0 .3rem}
h2{font-size:1.25rem;margin:0 0 .5rem}
h3{font-size:1rem;margin:1.4rem 0 .35rem}
p{margin:.5rem 0;max-width:62rem}
a{color:var(--link)}
section{border-top:2px solid var(--line);padding-top:1.2rem;margin-top:2rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .9rem;margin:.4rem 0;
  font-size:.9rem}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
code,td,th,.key{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,
  "Noto Sans Mono CJK SC",monospace}
.text{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;
  white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;max-height:30rem;
  overflow:auto;line-height:1.75}
.s{--c:var(--none);border-bottom:3px solid var(--c);color:inherit;text-decoration:none;
  border-radius:3px 3px 0 0;background:color-mix(in srgb,var(--c) 26%,transparent);
  padding:.05em .12em;unicode-bidi:isolate}
.n{font:700 .7em/1 ui-monospace,monospace;background:var(--c,var(--none));color:#000;
  border-radius:3px;padding:.1em .35em;margin:0 .15em;vertical-align:.15em}
.x{font:600 .82em ui-monospace,monospace;border:1px solid var(--none);border-radius:4px;
  padding:0 .25em;margin:0 .15em}
ol{list-style:none;padding:0;margin:.3rem 0}
ol.spans{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(24rem,100%),1fr));
  gap:0 1rem}
@media print{.text,li.b>div{max-height:none!important}}
li.b{display:grid;grid-template-columns:max-content 1fr;gap:0 .6rem;padding:.3rem .5rem;
  border-left:5px solid var(--c);margin:.35rem 0;background:var(--card);
  border-radius:0 6px 6px 0}
li.b>div{overflow-wrap:anywhere;white-space:pre-wrap;max-height:14rem;overflow:auto}
li.b>.what{color:var(--soft);font-size:.85rem}
.c1{--c:var(--c1)}
.c2{--c:var(--c2)}
.c3{--c:var(--c3)}
.c4{--c:var(--c4)}
.c5{--c:var(--c5)}
.c6{--c:var(--c6)}
.c7{--c:var(--c7)}
.c0{--c:var(--none)}
.grid{overflow-x:auto}
.grid table{border-collapse:collapse;margin:0 0 .7rem;font-size:.8rem;line-height:1.35}
.grid th{font-weight:400;color:var(--soft);text-align:right;padding:.1rem .6rem .1rem 0;
  white-space:nowrap;min-width:7.5rem}
.grid td{padding:.1rem .3rem;text-align:center;white-space:pre;border:1px solid var(--line);
  unicode-bidi:isolate;min-width:1.9rem}
.grid tr.i td{border-color:transparent;color:var(--soft);font-size:.7rem;padding-bottom:0}
.grid td[class*=c]{background:color-mix(in srgb,var(--c) 30%,transparent)}
.grid td.k[class*=c]{border-bottom:3px solid var(--c)}
.grid td.z{font-weight:700;font-style:italic}
.grid td.f::before{content:attr(data-s);font:700 .8em/1 ui-monospace,monospace;
  background:var(--c);color:#000;border-radius:3px;padding:0 .25em;margin-right:.3em}
.grid td.o{color:var(--soft)}
details{margin:.3rem 0}
summary{cursor:pointer;color:var(--soft)}
figure{display:flex;flex-wrap:wrap;gap:1rem 1.6rem;margin:.4rem 0;align-items:flex-start}
figcaption{flex:1 1 20rem;max-width:40rem}
output{display:block;min-height:3.2em;color:var(--soft);font-size:.9rem}
svg.mask{width:min(26rem,100%);height:auto;flex:none;background:var(--paper);
  shape-rendering:crispEdges}
svg path{fill:var(--c)}
svg path.c0{fill:var(--none);fill-opacity:.55}
svg path.part-b{fill:var(--c2)}
svg path.padding{fill:var(--ink)}
svg path.edge,svg path.lines,svg path.hair{fill:none;stroke:var(--ink);
  vector-effect:non-scaling-stroke}
svg path.lines{stroke:var(--paper);stroke-width:.6}
svg path.hair{stroke-width:2;pointer-events:none}
svg text{fill:var(--ink);font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-weight:700}
.hot{outline:3px solid var(--c);outline-offset:1px}
:target{outline:3px solid var(--link);outline-offset:2px}
nav ol{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem}
"""

SCRIPT = """
"use strict";
for (const section of document.querySelectorAll("section")) {
  const light = on => event => {
    const found = event.target.closest("[data-s]");
    if (!found) return;
    for (const one of section.querySelectorAll(`[data-s="${found.dataset.s}"]`))
      one.classList.toggle("hot", on);
  };
  section.addEventListener("mouseover", light(true));
  section.addEventListener("mouseout", light(false));
}
for (const svg of document.querySelectorAll("svg.mask")) {
  const numbers = name => svg.dataset[name].split(" ").filter(Boolean).map(Number);
  const size = Number(svg.dataset.size);
  const lengths = numbers("lengths"), edges = numbers("boundaries");
  const told = svg.closest("figure").querySelector("output");
  const scope = svg.closest("section.sample") || document;
  const cells = scope.querySelectorAll("td.k");
  const pieces = Array.from(cells, cell => cell.title || cell.textContent);
  const hair = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  hair.setAttribute("class", "hair");
  const find = token => {
    let first = 0;
    for (let sample = 0; sample < lengths.length; first += lengths[sample++])
      if (token < first + lengths[sample])
        return {sample, token, isB: token >= first + edges[sample]};
    return {sample: -1, token, isB: true};
  };
  const name = one => one.sample < 0 ? `padding ${one.token}` :
    `${one.token} \\u2068${pieces[one.token]}\\u2069 (` +
    (lengths.length > 1 ? `sample ${one.sample}, ` : "") + `part ${one.isB ? "B" : "A"})`;
  svg.addEventListener("mousemove", event => {
    const there = svg.getScreenCTM().inverse();
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(there);
    const i = Math.floor(at.y), j = Math.floor(at.x);
    if (i < 0 || j < 0 || i >= size || j >= size) return;
    const row = find(i), column = find(j), same = row.sample === column.sample;
    const seen = i === j || (same && row.sample >= 0 && (!column.isB || j <= i));
    const why = i === j ? "every token sees itself"
      : !same || row.sample < 0 ? "samples do not see each other"
      : !column.isB ? "everything sees part A"
      : j < i ? "part B sees what precedes it"
      : row.isB ? "it comes later in part B" : "part A does not see part B";
    hair.setAttribute("d", `M0 ${i + .5}H${size}M${j + .5} 0V${size}`);
    const verb = seen ? "sees" : "does not see";
    told.textContent = `Token ${name(row)} ${verb} token ${name(column)}: ${why}.`;
  });
}
"""

INTRODUCTION = """
<p>GLM learns by filling blanks. From a text (a <b>window</b> of one document) some stretches
are taken out: the <b>spans</b>. Each leaves a <b>blank</b>, one mask token such as <span
class="x">[MASK]</span>. What remains is <b>part A</b>; the model reads it in both directions.
The spans themselves follow as <b>part B</b>, often in another order than in the text: each
opens with <span class="x">&lt;sop&gt;</span> and is predicted token by token, left to right, up
to <span class="x">&lt;eop&gt;</span>. Every token has <b>two positions</b>: its <i>position</i>
says where in part A it is, and all tokens of a span repeat that of their blank; its <i>block
position</i> is 0 in part A and counts 1, 2, 3, &hellip; inside a span. The model therefore
knows where a span belongs and how far it has come in it, but not how long it is. The
<b>attention mask</b> lets every token see part A, and a token of part B also what precedes it
in part B. The <b>label</b> is the token to predict at a place; a dot means that nothing is
predicted there, and the loss does not look.</p>
<p>Spans are numbered in the order of part B and have the same colour everywhere. Other
objectives (masked, causal and prefix language models, sentinels) are shown with the same words;
what is different about them stands at each sample.</p>
"""
