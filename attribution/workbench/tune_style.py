"""How the tune page looks beyond the style of every page: one instrument, dense, nothing that jumps."""

from __future__ import annotations

SHEET = """<style>
.st-key-tune,.st-key-tune [data-testid=stVerticalBlock]{gap:.45rem}
.st-key-source{align-items:center;gap:.3rem .6rem}
.st-key-source [data-testid=stElementContainer]{margin:0}
.st-key-source .words{white-space:nowrap}
.st-key-tuneverdict .verdict{min-height:5.65rem;padding:.4rem 1rem}
.st-key-tuneverdict .verdict .word{font-size:1.55rem}
.st-key-tuneverdict .verdict .sentence{font-size:.95rem;line-height:1.35}
.st-key-tuneverdict .verdict .facts{font-size:.74rem;line-height:1.4}
.st-key-panel-rail,.st-key-panel-middle,.st-key-panel-right,.st-key-panel-tornado,
.st-key-panel-full{padding:.6rem .8rem}
.st-key-panel-rail [data-testid=stVerticalBlock]{gap:.1rem}
.st-key-panel-rail [data-testid=stHorizontalBlock]{gap:.8rem}
.ec.railgroup{margin-top:.15rem}
.ec.dial{display:grid;grid-template-columns:1fr auto;gap:0 .5rem;font:400 .7rem/1.3 var(--mono);color:var(--muted)}
.ec.dial b{color:var(--ink);white-space:nowrap}.ec.dial span{white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.ec .strip2{grid-column:1/-1;position:relative;height:11px;margin:1px 6px 0;display:flex;align-items:flex-end}
.ec .strip2 i{flex:1;background:var(--counterfactual);opacity:.35;min-width:0}
.ec .strip2 u{position:absolute;bottom:0;width:2px;height:9px;margin-left:-1px;background:var(--effect-text)}
.st-key-panel-rail [data-testid=stElementContainer]{margin:0}
.st-key-panel-rail [data-testid=stSlider]{padding:0 6px}
.st-key-panel-rail [data-testid=stSlider] [role=group],.st-key-panel-rail [data-testid=stSlider] [role=group]>div{
 padding:0!important;height:1rem;min-height:0}
.st-key-panel-rail [data-testid=stSliderThumbValue],.st-key-panel-rail [data-testid=stSliderTickBar]{display:none}
.st-key-panel-rail [data-testid=stSelectbox] [role=group]{min-height:1.55rem!important;height:1.55rem!important}
.st-key-panel-rail [data-testid=stSelectbox] input{font:400 .74rem var(--mono);padding:0 .5rem;height:1.4rem;
 min-height:0}
.st-key-panel-rail [data-testid=stSelectbox] button{height:1.4rem;padding:0 .2rem}
.ec.wrong,.ec p.wrong{font:400 .74rem/1.35 var(--prose);color:var(--bad);margin:.1rem 0 .3rem}
.ec.old{opacity:.55}
.st-key-panel-right .facts2{display:grid;grid-template-columns:1fr 1fr;gap:.1rem .8rem}
.ec .facts2 .value{font:600 1.15rem/1.25 var(--mono)}
.ec .facts2 small{font-size:.68rem;color:var(--muted);display:block}
.ec.changed{min-height:7.4rem;font:400 .78rem/1.45 var(--prose)}
.ec.changed p{font:400 .78rem/1.4 var(--prose);margin:.1rem 0;padding:0}
.ec.changed p:first-of-type{color:var(--ink)}.ec.changed p{color:var(--muted)}
.ec .tkey{display:flex;flex-wrap:wrap;gap:.05rem 1rem;font:400 .68rem/1.4 var(--mono);color:var(--muted)}
.ec .tkey i{display:inline-block;width:16px;
 margin-right:.4rem;vertical-align:middle;border-top:2px solid var(--observed)}
.ec .tkey i.dash{border-top:2px dashed var(--counterfactual)}.ec .tkey i.dot{border-top:2px dotted var(--muted)}
.ec .tkey i.area{border:0;height:9px;background:var(--effect);opacity:.5}
.st-key-panel-rail,.st-key-panel-middle,.st-key-panel-right{min-height:32.4rem}
.st-key-tune [data-testid=stColumn]:has(.st-key-panel-truth,.st-key-panel-plan)>[data-testid=stVerticalBlock],
.st-key-tune [data-testid=stColumn]:has(.st-key-panel-truth,.st-key-panel-plan)>* .st-key-panel-truth,
.st-key-tune [data-testid=stColumn]:has(.st-key-panel-truth,.st-key-panel-plan)>* .st-key-panel-plan{height:100%}
.st-key-tune [data-testid=stElementContainer]:has([data-testid=stVegaLiteChart]){margin-bottom:-1.1rem}
.st-key-panel-tornado{min-height:12.6rem}
.st-key-panel-middle .head>span{max-width:62%;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.stApp .st-key-panel-full [data-testid=stBaseButton-primary]:disabled{opacity:.45}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.ec .track.wide{height:6px;background:var(--line);border-radius:3px;margin:.5rem 0}
.ec .track.wide i{display:block;height:6px;background:var(--effect);border-radius:3px}
.ec a{color:var(--counterfactual)}
@media(max-width:1180px){
 .st-key-tune [data-testid=stHorizontalBlock]:has(>[data-testid=stColumn]):has(.st-key-panel-middle,
  .st-key-panel-tornado,.st-key-panel-truth){flex-wrap:wrap}
 .st-key-tune [data-testid=stColumn]:has(.st-key-panel-rail){flex:1 1 19rem!important}
 .st-key-tune [data-testid=stColumn]:has(.st-key-panel-middle){flex:1 1 24rem!important}
 .st-key-tune [data-testid=stColumn]:has(.st-key-panel-right,.st-key-panel-tornado,.st-key-panel-full,
  .st-key-panel-shares){flex:1 1 100%!important}
 .st-key-tune [data-testid=stColumn]:has(.st-key-panel-truth,.st-key-panel-plan){flex:1 1 19rem!important}
 .ec.changed,.st-key-panel-rail,.st-key-panel-middle,.st-key-panel-right{min-height:0}
}
@media(max-width:720px){
 .st-key-source{flex-wrap:wrap}.st-key-source>*{min-width:0}
 .st-key-panel-rail [data-testid=stHorizontalBlock]{flex-wrap:nowrap}
 .st-key-panel-rail [data-testid=stColumn]{min-width:0!important;flex:1 1 0}
}
</style>"""
