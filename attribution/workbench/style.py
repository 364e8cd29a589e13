"""How the pages look: one style sheet over the theme's variables, dark and light at once."""

from __future__ import annotations

from functools import cache
from urllib.parse import quote

from attribution.theme import adaptive_variables, font_css


@cache
def style() -> str:
    """Return the style element of every page: fonts, colours of both modes, layout.

    Streamlit sets ``color-scheme`` with its theme, so ``light-dark()`` follows the switch without a rerun.
    """
    sheet = SHEET.replace("LOGO", quote(LOGO))
    return f"<style>{font_css()}:root{{{adaptive_variables()}}}{sheet}</style>"


LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 22 22"><rect width="22" height="22" rx="3" fill="#FFD21F"/>'
    '<path d="M3 12h4l2-6 4 10 2-5h4" fill="none" stroke="#14181D" stroke-width="2" stroke-linejoin="round"/></svg>'
)
SHEET = """
.stApp{background:var(--background)}
[data-testid=stHeader]{background:transparent;height:3rem;min-height:3rem}
[data-testid=stHeader],[data-testid=stHeader] div{pointer-events:none}
[data-testid=stHeader] button,[data-testid=stHeader] [role=button]{pointer-events:auto}
[data-testid=stMainBlockContainer]{padding:.35rem 1.25rem 2rem;max-width:1720px;margin:0 auto}
[data-testid=stMainBlockContainer]>[data-testid=stVerticalBlock]{gap:.75rem}
[data-testid=stElementContainer]:has(>[data-testid=stHtml]>:is(style,script,.ready):only-child){display:none}
.st-key-bar{align-items:center;min-height:2.5rem;padding-right:3rem;gap:.35rem .9rem;flex-wrap:nowrap}
.st-key-bar>*{flex:none}
[data-testid=stStatusWidget]:has([data-testid=stStatusWidgetRunningIcon],[data-testid=stStatusWidgetRunningManIcon]){
 display:none}
[data-stale=true]{opacity:1!important;transition:none!important}
:focus-visible{outline:2px solid var(--counterfactual)!important;outline-offset:2px}
.st-key-who{align-items:center;margin-top:-.4rem}.st-key-who button{min-height:1.7rem;padding:.05rem .6rem}
.ec.under{font:400 .74rem/1.4 var(--mono)}
.brand{display:flex;align-items:center;gap:.6rem;font:600 .85rem var(--mono);letter-spacing:.14em;color:var(--ink)}
.brand::before{content:"";width:22px;height:22px;flex:none;background:url("data:image/svg+xml,LOGO")}
.st-key-bar [data-testid=stPageLink-NavLink]{padding:.2rem .65rem;border-radius:4px}
.st-key-bar [data-testid=stPageLink-NavLink] p{font:400 .82rem var(--mono);color:var(--muted)}
.st-key-bar [aria-current=page]{background:var(--line)}
.st-key-bar [aria-current=page] p{color:var(--ink);font-weight:600}
.panel,.st-key-hero,.st-key-evidence,.st-key-log,.st-key-regions,.st-key-proof,[class*=st-key-panel]{
 background:var(--panel);border:1px solid var(--line);border-radius:4px;padding:.85rem 1rem}
.ec{font-family:var(--mono);color:var(--ink);font-variant-numeric:tabular-nums}
.ec h2,.ec .cap{font:400 .7rem/1.3 var(--mono);letter-spacing:.12em;text-transform:uppercase;color:var(--muted);
 margin:0;
 padding:0}
.ec h2::before{content:"";display:inline-block;width:7px;height:7px;background:var(--effect);margin-right:.6rem;
 vertical-align:1px}
.ec .muted,.ec b.muted{color:var(--muted)}.ec .blue{color:var(--counterfactual)}.ec .effect{color:var(--effect-text)}
.ec .good,.ec .status b.good,.kpi .note b.good{color:var(--good)}
.ec .bad,.ec .status b.bad,.kpi .note b.bad{color:var(--bad)}
.ec b{font-weight:600}
.verdict{display:grid;grid-template-columns:auto 1fr;gap:.15rem 1.6rem;align-items:center;
 border-left:6px solid var(--line)}
.verdict.claims{border-left-color:var(--effect)}
.verdict .word{font:600 1.9rem/1.15 var(--mono);text-transform:uppercase;letter-spacing:.02em;white-space:nowrap;
 min-width:8.2em}
.verdict .word i{font-style:normal;font-size:1.4rem;margin-right:.5rem;vertical-align:.1em}
.verdict .sentence{font:400 1.06rem/1.4 var(--prose);margin:0;max-width:78em}
.verdict .facts{font:400 .78rem/1.55 var(--prose);color:var(--muted);margin:0}
.verdict .facts b{font-family:var(--mono);color:var(--ink)}
.event{display:flex;flex-wrap:wrap;align-items:baseline;gap:.2rem 1.6rem;padding:.1rem 0}
.event h1{font:600 1.15rem/1.3 var(--mono);letter-spacing:.04em;margin:0;padding:0;color:var(--ink)}
.event h1 span{color:var(--muted);font-weight:400;font-size:.8rem;margin-left:.7rem;letter-spacing:.04em}
.event .status{margin-left:auto;display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;font-size:.76rem;color:var(--muted)}
.event .status b{color:var(--ink)}
.kpis{display:grid;grid-template-columns:repeat(5,minmax(0,1fr));gap:.75rem}
.kpi{background:var(--panel);border:1px solid var(--line);border-radius:4px;padding:.75rem .95rem;min-height:6.4rem}
.kpi .cap{display:flex;justify-content:space-between;gap:.5rem}.kpi .cap em{font-style:normal;letter-spacing:.06em}
.kpi .value{font:600 1.75rem/1.25 var(--mono);margin:.3rem 0 .2rem;white-space:nowrap}
.kpi .note{font:400 .75rem/1.45 var(--prose);color:var(--muted)}.kpi .note b{font-family:var(--mono);color:var(--ink)}
.kpi .track{height:3px;background:var(--line);border-radius:2px;margin-top:.5rem}
.kpi .track i{display:block;height:3px;background:var(--effect);border-radius:2px}
.figures{display:flex;flex-wrap:wrap;gap:.5rem 2.2rem}
.figures .value{font:600 1.2rem/1.3 var(--mono);white-space:nowrap}.figures small{font-size:.72rem;color:var(--muted)}
.key{display:flex;flex-wrap:wrap;gap:.1rem 1.3rem;font-size:.7rem;color:var(--muted);margin-top:.6rem}
.key i{display:inline-block;width:18px;margin-right:.5rem;vertical-align:middle;border-top:2px solid var(--observed)}
.key i.dash{border-top:2px dashed var(--counterfactual)}
.key i.area{border:0;height:10px;background:var(--effect);opacity:.5}
[data-testid=stMultiSelect] input[role=combobox]{min-width:26px}
[data-testid=stMultiSelect] button[aria-label="Clear all"]{min-width:24px;min-height:24px}
.head{display:flex;justify-content:space-between;gap:1rem;align-items:baseline;font-size:.72rem}
.head>span{flex:none;max-width:55%;text-align:right}
.ec table{border-collapse:collapse;width:100%;font:400 .78rem/1.4 var(--mono);margin-top:.6rem}
.ec th{font-weight:400;font-size:.68rem;letter-spacing:.08em;text-transform:uppercase;color:var(--muted);
 text-align:right;
 vertical-align:bottom}
.ec td,.ec th{border:0;border-bottom:1px solid var(--line);padding:.42rem .5rem;text-align:right;white-space:nowrap}
.ec thead th{font-size:.76rem;letter-spacing:0;text-transform:none;color:var(--ink)}
.ec table:not(.words) small{display:block}.ec ol{font:400 .8rem/1.5 var(--prose);margin:.3rem 0 0;padding-left:1.2rem}
.ec p.label{font:400 .7rem/1.3 var(--mono);letter-spacing:.12em;text-transform:uppercase;color:var(--muted);
 margin:1rem 0 0}
.ec td:first-child,.ec th:first-child{text-align:left;padding-left:0}
.ec table:not(.words) td:first-child{min-width:min(8rem,24vw)}
.ec td:last-child,.ec th:last-child{padding-right:0}
.ec td:first-child,.ec th:first-child{white-space:normal}.ec table tbody th{vertical-align:top}
.ec .scroll{overflow-x:auto}.ec ul{margin:.3rem 0 .7rem;padding-left:1.1rem;font:400 .84rem/1.5 var(--prose)}
.ec ul li{font-size:inherit}.ec h3{font:600 .8rem/1.4 var(--mono);margin:.8rem 0 .2rem;padding:0}
.ec h3+p{font:400 .84rem/1.5 var(--prose)}
.ec .words td,.ec .words th{text-align:left;white-space:normal;vertical-align:top}
.ec .words td{font-family:var(--prose)}
.ec .words.mapping td{font-family:var(--mono);padding:.35rem .5rem}.ec .later{margin-top:1.2rem}
.ec .words.mapping td:first-child{padding-left:0}
.ec .words .level{font:600 .7rem/1.8 var(--mono);white-space:nowrap}
.ec .words .level.error,.ec .words .level.warning{color:var(--bad)}
.ec small{font-size:.7rem;color:var(--muted)}
.ec ul.log{list-style:none;margin:.55rem 0 0;padding:0;font:400 .75rem/1.4 var(--mono);height:26.4rem;overflow-y:auto}
.ec .log li{display:grid;grid-template-columns:4.7em 1fr;gap:0 .7em;padding:.3rem 0;margin:0;
 border-bottom:1px dotted var(--line)}
.log .kind{color:var(--counterfactual)}.log time{color:var(--muted)}.log span{overflow-wrap:anywhere}
.log span:last-child{grid-column:1/-1}
.truth{font:400 .78rem/1.5 var(--prose);color:var(--muted)}.truth b{color:var(--ink);font-family:var(--mono)}
.ec ul.plain{margin:.3rem 0 .7rem;padding-left:1.1rem;font:400 .86rem/1.5 var(--prose)}
.ec p.lead{font:400 .95rem/1.5 var(--prose);margin:.3rem 0}
.ec p.said{font:400 .84rem/1.5 var(--prose);color:var(--muted);margin:.45rem 0 0;max-width:62rem;padding:0}
.ec p.said code{font:400 .76rem var(--mono);color:var(--ink);background:var(--line);padding:.1rem .4rem;
 border-radius:3px;white-space:nowrap}
.ec .long{max-height:34rem;overflow-y:auto}.ec .long thead th{position:sticky;top:0;background:var(--panel)}
.ec table.many tbody th{white-space:nowrap;text-transform:none;letter-spacing:0;color:var(--ink)}
.ec table.few{width:auto;min-width:min(100%,34rem)}
.ec p.from{font:400 .7rem/1.4 var(--mono);color:var(--muted);margin:.6rem 0 0;padding:0}
.ec .rest{white-space:normal}.ec .verdict a,.ec.verdict a{color:var(--counterfactual)}
.strips{display:grid;gap:.1rem;margin-top:.4rem}
.strip{display:grid;grid-template-columns:11em repeat(6,minmax(0,1fr));gap:.2rem .8rem;padding:.32rem 0;
 border-bottom:1px solid var(--line);font:400 .78rem/1.35 var(--mono)}
.strip i{font-style:normal}.ec .strip small{display:block;overflow-wrap:anywhere}
[data-testid=stVegaLiteChart]{background:transparent}
.st-key-hero [data-testid=stVerticalBlock],.st-key-hero{gap:.3rem}
.st-key-hero [data-testid=stPopoverButton]{font-family:var(--mono);min-height:1.8rem;padding:.1rem .6rem}
.st-key-herohead{align-items:center;flex-wrap:nowrap}
.stPopover button p,.stButton button p,.stDownloadButton button p{font:400 .8rem/1.4rem var(--mono);display:block}
.stApp .stButton button:disabled,.stApp .stDownloadButton button:disabled{opacity:.55}
[data-testid=stBaseButton-primary] p,[data-testid=stBaseButton-primary] span{font-weight:600!important}
.stApp [data-testid=stBaseButton-primary]{background:#FFD21F;border-color:#FFD21F;color:#14181D}
@media(max-width:1180px){
 .kpis{grid-template-columns:repeat(3,minmax(0,1fr))}.kpi:last-child{grid-column:span 2}
 .st-key-main [data-testid=stHorizontalBlock]:has(>[data-testid=stColumn]){flex-wrap:wrap}
 .st-key-main [data-testid=stColumn]{min-width:100%}
 .ec ul.log{height:13rem}
}
@media(max-width:720px){
 .kpis.even .kpi:last-child{grid-column:auto}
 .kpis{grid-template-columns:repeat(2,minmax(0,1fr))}.kpi .value{font-size:1.35rem}.kpi .cap em{display:none}
 .st-key-herohead{flex-wrap:wrap}
 .verdict{grid-template-columns:1fr}.verdict .word{font-size:1.5rem;min-width:0}
 .event .status{margin-left:0}[data-testid=stMainBlockContainer]{padding:.35rem .7rem 2rem}
 .st-key-bar{padding-right:2.4rem;gap:.35rem .1rem;flex-wrap:wrap}.brand{font-size:0;gap:0}
 .st-key-bar [data-testid=stPageLink-NavLink]{padding:.2rem .4rem}
 .head{flex-wrap:wrap;gap:.1rem 1rem}.head>span{max-width:none;text-align:left}
 .ec table:not(.stack) th{white-space:normal}.ec table:not(.stack) td,.ec table:not(.stack) th{padding:.42rem .3rem}
 .ec .stack,.ec .stack tbody{display:block}.ec .stack thead{display:none}
 .ec .stack tr{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:.3rem .8rem;padding:.6rem 0;
  border-bottom:1px solid var(--line)}
 .ec .stack td{border:0;padding:0;text-align:left;white-space:normal}
 .ec .stack td:first-child,.ec .stack td.rest{grid-column:1/-1}
 .ec .stack td:not(:first-child)::before{content:attr(data-head);display:block;font-size:.64rem;line-height:1.25;
  color:var(--muted)}
 .ec .words.stack tr{grid-template-columns:1fr}
 .strip{grid-template-columns:repeat(4,minmax(0,1fr))}.strip>span:first-child{grid-column:1/-1;color:var(--muted)}
}
@media(min-width:721px) and (max-width:1180px){
 .st-key-bar{gap:.15rem}.brand{letter-spacing:.06em}.st-key-bar [data-testid=stPageLink-NavLink]{padding:.2rem .42rem}
}
@media(prefers-reduced-motion:reduce){*,*::before,*::after{transition:none!important;animation:none!important;
 scroll-behavior:auto!important}}
"""
