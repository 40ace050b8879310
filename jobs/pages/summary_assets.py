"""Style of the page that `summary_page.py` writes, added to that of the page of a row."""

CHART_STYLE = """
h4{font-size:.95rem;margin:.2rem 0}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr));
  gap:1.2rem 2rem;margin:.8rem 0}
.beside{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(24rem,100%),1fr));gap:0 2rem}
figure.chart{display:block;margin:0}
figure.chart figcaption{color:var(--soft);font-size:.88rem;max-width:none}
svg.chart{display:block;width:100%;height:auto;max-width:34rem}
svg.chart text{font:400 12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
  fill:var(--ink)}
svg.chart rect.found{fill:var(--c2)}
svg.chart rect.ground{fill:var(--card);stroke:var(--line)}
svg.chart rect.part1{fill:var(--none)}
svg.chart rect.part2{fill:var(--c2)}
svg.chart rect.part3{fill:var(--card);stroke:var(--line)}
svg.chart path.line{fill:none;stroke:var(--line);stroke-width:1}
svg.chart path.law{fill:none;stroke:var(--c6);stroke-width:2}
.numbers{overflow-x:auto;margin:.3rem 0}
.numbers table{border-collapse:collapse;font-size:.85rem}
.numbers th,.numbers td{padding:.15rem .8rem .15rem 0;text-align:right;white-space:nowrap;
  border-bottom:1px solid var(--line)}
.numbers th{font-weight:400;color:var(--soft)}
.numbers th:first-child,.numbers :is(td,th):nth-child(9){text-align:left}
figure.chart details{font-size:.88rem}
"""
