"""How the pages of the workbench look beyond the style of every page."""

from __future__ import annotations

SHEET = """<style>
.st-key-case,.st-key-case [data-testid=stVerticalBlock]{gap:.6rem}
.st-key-source{align-items:center;gap:.3rem .6rem}.st-key-source [data-testid=stElementContainer]{margin:0}
.ec.under{font:400 .74rem/1.4 var(--mono)}.ec.under .cap{margin-right:.5rem}
[class*=st-key-panel-within]{background:none;border:0;padding:0}
.st-key-case [class*=st-key-panel] [data-testid=stVerticalBlock]{gap:.35rem}
.st-key-case [data-testid=stElementContainer]:has([data-testid=stVegaLiteChart]){margin-bottom:-.9rem}
.ec.waiting:empty{height:min(60vh,30rem);border:1px dashed var(--line);border-radius:4px}
.court{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:.4rem 2rem}
.court ul{margin-bottom:.2rem}.court li{margin:.15rem 0}
.ec ul.steps{list-style:none;padding:0;margin:.2rem 0 .5rem;font:400 .8rem/1.5 var(--prose)}
.ec ul.steps b{display:inline-block;min-width:4.4em;font-family:var(--mono)}
.ec .tkey{display:flex;flex-wrap:wrap;gap:.05rem 1rem;font:400 .68rem/1.4 var(--mono);color:var(--muted)}
.ec .tkey i{display:inline-block;width:16px;margin-right:.4rem;vertical-align:middle;
 border-top:2px solid var(--observed)}
.ec .tkey i.dash{border-top:2px dashed var(--counterfactual)}.ec .tkey i.dot{border-top:2px dotted var(--muted)}
.ec .tkey i.area,.ec .tkey i.base,.ec .tkey i.broken,.ec .tkey i.organic,.ec .tkey i.band{border:0;height:9px}
.ec .tkey i.area{background:var(--effect);opacity:.6}.ec .tkey i.organic{background:var(--muted);opacity:.6}
.ec .tkey i.base{background:var(--counterfactual);opacity:.2}.ec .tkey i.broken{background:var(--counterfactual);
 opacity:.5}
.ec .tkey i.thick{border-top:3px solid var(--effect-text)}
.kpis.five{gap:.6rem}.kpis.five .kpi{min-height:0}
.ec .tkey i.band{background:var(--counterfactual);opacity:.25}
.ec .tkey i.own{border-top:4px solid var(--effect-text)}.ec .tkey i.apart{border-top-color:var(--ink)}
.ec .tkey i.with{border-top-color:var(--muted)}.ec .tkey i.bad{border-top-color:var(--bad)}
.st-key-case [data-tag]{background:var(--line)!important;color:var(--ink)!important}
.st-key-case [data-tag] *{color:var(--ink)!important}
.rules .words td{font-size:.8rem}.rules .words td:not(:first-child):not(:last-child){font-family:var(--mono)}
.rules .words td small{display:block}.rules .words td:nth-child(2){white-space:nowrap}
.wrongbar i{display:block;height:6px;background:var(--line);border-radius:3px;min-width:7rem;margin:.25rem 0}
.wrongbar u{display:block;height:6px;border-radius:3px;background:var(--muted)}
.wrongbar u.bad{background:var(--bad)}.wrongbar u.good{background:var(--good)}
.ec .bar1{display:grid;grid-template-columns:minmax(0,15em) 1fr 3em;gap:.7rem;align-items:center;
 font:400 .76rem/1.7 var(--mono)}
.ec .bar1 span{overflow-wrap:anywhere}.ec .bar1 b{text-align:right}
.ec .bar1 i{height:6px;background:var(--line);border-radius:3px;font-style:normal}
.ec .bar1 u{display:block;height:6px;background:var(--counterfactual);border-radius:3px;text-decoration:none}
.ec .track.wide{height:6px;background:var(--line);border-radius:3px;margin:.5rem 0}
.ec .track.wide i{display:block;height:6px;background:var(--counterfactual);border-radius:3px}
.ec.wrong,.ec p.wrong{font:400 .78rem/1.4 var(--prose);color:var(--bad);margin:.1rem 0 .3rem}
.ec a{color:var(--counterfactual)}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media(max-width:1180px){
 .st-key-case [data-testid=stHorizontalBlock]:has(>[data-testid=stColumn]){flex-wrap:wrap}
 .st-key-case [data-testid=stColumn]{min-width:100%}
}
@media(max-width:720px){.court{grid-template-columns:1fr}.st-key-source{flex-wrap:wrap}.st-key-source>*{min-width:0}}
</style>"""
