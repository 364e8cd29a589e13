"""How the live page looks, beyond what all pages share."""

from __future__ import annotations

from attribution.workbench import paths
from attribution.workbench.matrix import land_style


def sheet(mode: str) -> str:
    """Return the style element; popovers and dialogs hang outside the page, and are told its mode here."""
    return SHEET.replace("MODE", mode).replace("LAND", land_style(paths.land()))


SHEET = """<style>
body{color-scheme:MODE}
[data-moves]{display:contents}
.st-key-transport{align-items:center;gap:.5rem 1rem;min-height:2.5rem}
.st-key-transport .stButton button,.st-key-transport [data-testid=stPopoverButton]{min-height:1.9rem;
 padding:.1rem .75rem}
.st-key-transport [data-testid=stPopoverButton] p{font:400 .8rem var(--mono)}
.st-key-depths{flex:none}.st-key-depths .stButton button{border-radius:0;margin-left:-1px}
[class*=st-key-depth-on] button{background:var(--line);border-color:var(--effect)!important;z-index:1}
[class*=st-key-depth-on] button p{font-weight:600!important;color:var(--ink)}
.st-key-transport>[data-testid=stLayoutWrapper]:has(>.st-key-time){flex:1 1 20rem;min-width:0}
.st-key-depths [data-testid=stLayoutWrapper],.st-key-depths [class*=st-key-depth-],.st-key-depths .stElementContainer{
 width:auto!important;min-width:0}.st-key-depths .stButton button p{white-space:nowrap}
.st-key-time [data-testid=stSlider]{min-width:9rem}
.st-key-time [data-testid=stSliderTickBar],.st-key-time [data-testid=stSliderThumbValue]{display:none}
.when{font-size:.78rem;color:var(--muted);white-space:nowrap}.when b{color:var(--effect-text)}
.st-key-kpis{display:grid!important;grid-template-columns:repeat(5,minmax(0,1fr));gap:.75rem}
.st-key-kpis>*{width:auto!important;min-width:0;height:100%}
[class*=st-key-kpi-]{position:relative;height:100%;background:var(--panel);border:1px solid var(--line);
 border-radius:4px}
.st-key-kpis .kpi{background:none;border:0;min-height:8rem;padding-right:.95rem}
.st-key-kpis .kpi .cap{padding-right:1.5rem}.st-key-kpis .kpi .cap em{font-size:.62rem}
.spark{display:block;width:100%;height:22px;margin-top:.35rem}
.parts{display:grid;gap:3px;margin-top:.5rem}.parts i{display:block;height:3px;background:var(--muted);
 border-radius:2px}
[data-testid=stLayoutWrapper]:has(>[class*=st-key-how-]){flex:0 0 auto!important;width:auto!important}
[class*=st-key-how-]{width:1.25rem!important;height:1.25rem;flex:none}
[class*=st-key-kpi-]>[data-testid=stLayoutWrapper]:has([class*=st-key-how-]){position:absolute;top:.6rem;right:.6rem;
 width:auto}
[class*=st-key-how-] button{width:1.25rem;height:1.25rem;min-height:0!important;padding:0!important;overflow:hidden;
 border-radius:50%;background:transparent;border:1px solid var(--line)}
[class*=st-key-how-] button:hover,[class*=st-key-how-] button:focus-visible{border-color:var(--counterfactual)}
[class*=st-key-how-] button div[aria-hidden=true]{display:none}
[class*=st-key-how-] button p{font:400 .7rem/1.15rem var(--mono)!important;color:var(--muted);width:.62em;
 overflow:hidden;
 white-space:nowrap;text-overflow:clip}
[class*=st-key-how-] button div{gap:0;justify-content:center;text-align:center}
[class*=st-key-how-] button>div{width:100%}
[class*=st-key-head-]{flex-wrap:nowrap;align-items:center;gap:.5rem}
[class*=st-key-head-]>*:first-child{flex:1 1 auto;min-width:0}
.st-key-herotools{flex-wrap:nowrap;align-items:center}
.why{max-width:27rem}.why p{font:400 .86rem/1.5 var(--prose);margin:.3rem 0}.ec.why p.label{margin-top:0}
.why dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;margin:.6rem 0 0;font:400 .76rem/1.4 var(--mono)}
.why dt{color:var(--muted)}.why dd{margin:0;text-align:right;overflow-wrap:anywhere}
.keys dd{text-align:left}.keys kbd{font:600 .78rem var(--mono);border:1px solid var(--line);border-radius:3px;
 padding:.05rem .4rem;color:var(--ink)}
.st-key-top .event{margin-top:.75rem}
.event[data-old] .status b{color:var(--bad)}
.stApp:has(.event[data-old]) :is(.kpi,.figures) .value{color:var(--muted)}
.stApp:has(.event[data-old]) [data-testid=stVegaLiteChart]{opacity:.55}
.velocity{position:relative}.velocity .plot{position:relative;height:330px;margin-top:.3rem;touch-action:pan-y}
.velocity canvas{position:absolute;inset:0;width:100%;height:330px;display:block}
.velocity .cursor{position:absolute;inset:0;outline-offset:-2px}
.velocity .tip{position:absolute;top:44px;z-index:2;display:grid;grid-template-columns:auto auto;gap:.1rem .9rem;
 padding:.4rem .6rem;background:var(--background);border:1px solid var(--line);border-radius:4px;font-size:.72rem;
 color:var(--muted);pointer-events:none;white-space:nowrap}
.velocity .tip[hidden]{display:none}.velocity .tip b{color:var(--ink);text-align:right}
.velocity .late{position:absolute;top:-1.45rem;right:1rem;margin:0;font-size:.72rem;color:var(--bad);
 pointer-events:none}
.velocity[data-old] :is(canvas,.told .value){opacity:.55}
.velocity .told{min-height:4.7rem}.velocity .parts-of{min-height:3.4rem;margin-top:.3rem}
.velocity.bare :is(.told,.parts-of){display:none}.st-key-velocity-chart{min-height:33rem}
.heard{position:absolute!important;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap;
 margin:0}
.stElementContainer:has(>[data-testid=stHtml] .heard){position:absolute;width:1px;height:1px;overflow:hidden}
.figures{gap:.5rem 1.9rem}.figures .value small{display:block;font:400 .68rem/1.35 var(--mono);white-space:nowrap}
.figures .value small.unit{display:inline}
.split .bar{display:flex;height:8px;margin:.45rem 0 .4rem;border-radius:2px;overflow:hidden;gap:1px;
 background:var(--line)}
.split i{display:inline-block}.split .baseline{background:var(--muted);opacity:.55}
.split .break{background:var(--counterfactual)}
.split .organic{background:repeating-linear-gradient(45deg,var(--counterfactual) 0 2px,transparent 2px 4px)}
.split .ad{background:var(--effect)}
.split .of{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;font-size:.74rem;color:var(--muted)}
.split .of i{width:9px;height:9px;margin-right:.45rem}.split .of b{color:var(--ink)}
.integrity{display:grid;grid-template-columns:6.6rem 1fr;gap:.9rem;align-items:center;margin-top:.2rem}
.gauge{width:6.6rem;height:6.6rem;border-radius:50%;display:grid;place-items:center;
 background:conic-gradient(from 225deg,var(--good) calc(var(--share)*270deg),var(--line) 0 270deg,transparent 0)}
.gauge>div{width:5.5rem;height:5.5rem;border-radius:50%;background:var(--panel);display:grid;place-content:center;
 text-align:center}
.gauge b{font:600 .84rem/1.2 var(--mono)}.ec .gauge small{font-size:.6rem;line-height:1.25;padding:0 .3rem}
.integrity .cells{display:grid;grid-template-columns:1fr 1fr;gap:.5rem .8rem}
.integrity .cap{font-size:.62rem;letter-spacing:.08em}.integrity .value{font:600 .92rem/1.25 var(--mono);
 white-space:nowrap}
.ec .integrity small,.ec.integrity small{font-size:.64rem;line-height:1.25;display:block}
.st-key-panel-integrity,.st-key-log,.st-key-hero,[class*=st-key-panel-]{gap:.35rem}
.st-key-logtools{align-items:center;gap:.4rem}
.st-key-logtools button{min-height:1.7rem;padding:.05rem .55rem}.st-key-logtools label p{font:400 .76rem var(--mono)}
.st-key-log .ec ul.log{height:9.6rem}
.st-key-matrix{display:grid!important;grid-template-columns:minmax(0,.5fr) minmax(0,1fr);gap:.4rem 1.2rem;
 align-items:start}
.st-key-matrix>*{width:auto!important;min-width:0}
.st-key-matrix td,.st-key-matrix th{padding:.4rem .35rem}.st-key-matrix td:first-child{white-space:nowrap}
.world{position:relative;margin-top:.5rem}LAND
.world .mark{position:absolute;width:0;height:0}
.world .mark i{position:absolute;width:var(--size);height:var(--size);transform:translate(-50%,-50%);border-radius:50%;
 background:color-mix(in srgb,var(--effect) 30%,transparent);border:1.5px solid var(--effect-text)}
.world .mark.control i{background:transparent;border:1.5px dashed var(--counterfactual)}
.world .mark b{position:absolute;left:0;transform:translateX(-50%);bottom:calc(var(--size)/2 + 1px);font-size:.68rem;
 white-space:nowrap;
 background:color-mix(in srgb,var(--panel) 75%,transparent);padding:0 2px}
.world .mark.below b{bottom:auto;top:calc(var(--size)/2 + 1px)}
.ec .stack small.good{color:var(--good)}.ec .stack small.bad{color:var(--bad)}
.share{display:grid;grid-template-columns:7.5rem minmax(0,1fr) 12rem;gap:.9rem;align-items:center;padding:.5rem 0;
 border-bottom:1px dotted var(--line);font-size:.78rem}
.share .track{position:relative;height:1.1rem;
 background:linear-gradient(var(--line),var(--line)) center/100% 1px no-repeat}
.share .track i{position:absolute;top:.38rem;height:.34rem;background:var(--effect);opacity:.55;border-radius:2px}
.share .track b{position:absolute;top:.25rem;width:.6rem;height:.6rem;margin-left:-.3rem;border-radius:50%;
 background:var(--observed)}
.share .track u{position:absolute;top:.05rem;width:2px;height:1rem;margin-left:-1px;background:var(--counterfactual)}
.share>span:last-child{text-align:right}.share small{display:block}
.lock{font:400 .84rem/1.5 var(--mono);margin:.5rem 0 0}.ec p.lock{padding:0}
.st-key-bell{margin-top:.5rem;padding-top:.5rem;border-top:1px solid var(--line);flex-wrap:wrap}
.st-key-bell label p{font:400 .76rem var(--mono)}p.refused{display:none}
[data-refused] p.refused{display:block;color:var(--bad)}
.kinds{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.76rem;color:var(--muted);margin-top:.6rem;
 padding-top:.6rem;
 border-top:1px solid var(--line)}.kinds b{color:var(--ink)}
.ec ul.calls{list-style:none;padding:0;margin:.4rem 0}.calls time{color:var(--muted);font-family:var(--mono)}
.st-key-quick{display:grid!important;grid-template-columns:1fr 1fr;gap:.55rem;margin-top:.5rem}
.st-key-quick>*{width:auto!important;min-width:0}
.protocol{display:grid;grid-template-columns:repeat(4,minmax(0,1fr));gap:.4rem 1.6rem}
.ec.protocol h3{font:600 .76rem/1.4 var(--mono);text-transform:uppercase;letter-spacing:.06em;margin:.4rem 0 .3rem}
.ec.choices dl{padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.55rem 1rem;
 margin:.5rem 0 0}
.choices dt{font:400 .66rem/1.3 var(--mono);color:var(--muted)}.choices dd{margin:0;font:400 .8rem/1.35 var(--mono);
 overflow-wrap:anywhere}
.st-key-story{min-height:64vh;padding:1vh 3vw 0;gap:.6rem}
.story .cap{font-size:.86rem}.story .big{font:600 clamp(3rem,9vw,7.6rem)/1 var(--mono);letter-spacing:-.03em;
 margin:.7rem 0 .5rem;
 text-transform:none;overflow-wrap:anywhere}
.ec.story .big small{margin-left:.8rem;font:400 clamp(1rem,1.7vw,1.7rem)/1.2 var(--prose);letter-spacing:0;
 color:var(--muted)}
.story.s2 .big{color:var(--effect-text)}.story.s1 .big{color:var(--counterfactual)}
.story.s3 .big{text-transform:uppercase}
.story .told{font:400 clamp(1.1rem,1.6vw,1.6rem)/1.4 var(--prose);max-width:52ch;margin:0}
.dots{display:flex;gap:.5rem;margin-top:1.2rem}.dots i{width:2.2rem;height:4px;background:var(--line)}
.dots i.on{background:var(--effect)}
.st-key-main [data-testid=stColumn]>[data-testid=stVerticalBlock]{height:100%}
.st-key-main [data-testid=stColumn]>[data-testid=stVerticalBlock]
 >[data-testid=stLayoutWrapper]:last-child{flex:1 1 auto}
.st-key-main [data-testid=stColumn]
 :is(.st-key-log,.st-key-hero,.st-key-regions,.st-key-evidence,[class*=st-key-panel-]){
 flex:1 1 auto}
@media(min-width:1181px){
 .st-key-top .verdict{min-height:7.5rem}.st-key-kpis .kpi{min-height:9.4rem}.st-key-panel-integrity{min-height:19rem}
}
@media(min-width:1181px) and (max-width:1400px){
 .integrity{grid-template-columns:5.2rem 1fr;gap:.6rem}.gauge{width:5.2rem;height:5.2rem}
 .gauge>div{width:4.4rem;height:4.4rem}.gauge b{font-size:.72rem}.integrity .value{font-size:.82rem}
}
@media(max-width:1180px){
 .st-key-kpis{grid-template-columns:repeat(6,minmax(0,1fr))}.st-key-kpis>*{grid-column:span 2}
 .st-key-kpis>*:nth-last-child(-n+2){grid-column:span 3}.world{max-width:32rem;margin-inline:auto}
 .st-key-matrix{grid-template-columns:minmax(0,1fr)}.protocol{grid-template-columns:repeat(2,minmax(0,1fr))}
}
@media(max-width:720px){
 .st-key-kpis{grid-template-columns:minmax(0,1fr) minmax(0,1fr)}.st-key-kpis>*:nth-child(n){grid-column:auto}
 .st-key-kpis>*:first-child:first-child{grid-column:1/-1}
 .st-key-kpis .kpi{min-height:0}.protocol{grid-template-columns:minmax(0,1fr)}
 .share{grid-template-columns:minmax(0,1fr) auto;gap:.2rem .8rem}.share .track{grid-column:1/-1;grid-row:2}
 .st-key-story{padding:1rem 0 0}
}
</style>"""
"""Set beside the style of all pages; colours are the variables of that."""
