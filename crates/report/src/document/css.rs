//! How the page looks: in light and dark, on a telephone, on a desk and on paper.

/// Contrasts are at least 4.5 to 1 for text in both schemes.
pub(super) const CSS: &str = "
:root{--paper:#fff;--panel:#f5f6f8;--ink:#1d1f23;--faint:#5b6069;--grid:#dfe2e7;--limit:#c01e3c;--link:#0b5cad;
--good:#14713d;--mixed:#8a5a00;--bad:#b3152f;--c1:#0072b2;--c2:#d55e00;--c3:#009e73;--c4:#b85c91;--c5:#b97f00;--c6:#3a9bd0;--c7:#543078;--c8:#808081}
@media (prefers-color-scheme:dark){:root{--paper:#15171a;--panel:#1f2226;--ink:#e8eaed;--faint:#a3a9b3;--grid:#3a3f46;
--limit:#ff7d90;--link:#7db8ff;--good:#63d396;--mixed:#f0b44c;--bad:#ff8796;--c1:#56b4e9;--c2:#f28b3c;--c3:#3fcf9e;--c4:#e39cc6;
--c5:#f0c04a;--c6:#9ad2f5;--c7:#b79be0;--c8:#9a9aa0}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:1.2rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;overflow-wrap:break-word}
h1{font-size:1.7rem;line-height:1.2;margin:.2rem 0}h2{font-size:1.25rem;margin:1.6rem 0 .4rem}h3{font-size:1rem;margin:0 0 .3rem}
p{margin:.4rem 0}.subtitle,.question{color:var(--faint)}
a{color:var(--link)}nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.6rem 0}
.verdict{background:var(--panel);border-left:.4rem solid var(--faint);padding:.2rem 1rem .6rem;margin:1rem 0}
.verdict h2{margin:.5rem 0}.verdict .answer{font-size:1.08rem}
.good{border-color:var(--good)}.good h2{color:var(--good)}.mixed{border-color:var(--mixed)}.mixed h2{color:var(--mixed)}
.bad{border-color:var(--bad)}.bad h2{color:var(--bad)}
.warnings{margin:.6rem 0 0;padding-left:1.2rem;font-size:.93rem}.warnings li::marker{content:'! ';color:var(--mixed);font-weight:700}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.7rem;list-style:none;padding:0;margin:1rem 0}
.tiles li{background:var(--panel);padding:.6rem .8rem;display:flex;flex-direction:column}
.tiles strong{font-size:1.25rem;line-height:1.3}.label,.detail{color:var(--faint);font-size:.85rem}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:1.2rem}
figure{margin:0;background:var(--panel);padding:.8rem;--paper:var(--panel);min-width:0}
figure svg{display:block;width:100%;height:auto;color:var(--ink)}
figcaption{color:var(--faint);font-size:.88rem;margin-top:.4rem}
.bar{display:flex;height:1.6rem;background:var(--grid);overflow:hidden}.bar span{display:block}
.shares ul{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;list-style:none;padding:0;margin:.5rem 0}
.swatch{display:inline-block;width:.8em;height:.8em;margin-right:.4em}
.table{overflow-x:auto}table{border-collapse:collapse;font-size:.92rem;margin:.4rem 0;width:100%}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--grid);text-align:left;vertical-align:top}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
details{margin:.6rem 0}summary{cursor:pointer;color:var(--link)}
pre{background:var(--panel);padding:.8rem;font-size:.86rem;line-height:1.4;white-space:pre-wrap;overflow-wrap:anywhere}
@media (max-width:500px){body{padding:.7rem}figure{padding:.4rem}th,td{padding:.25rem .35rem}}
@media print{:root{--paper:#fff;--panel:#fff;--ink:#000;--faint:#444;--grid:#bbb;--limit:#c01e3c;--good:#14713d;--mixed:#8a5a00;
--bad:#b3152f;--c1:#0072b2;--c2:#d55e00;--c3:#009e73;--c4:#b85c91;--c5:#b97f00;--c6:#3a9bd0;--c7:#543078;--c8:#808081}
body{max-width:none;padding:0;font-size:11pt}nav{display:none}.figures{grid-template-columns:1fr 1fr}
figure,.tiles li,.verdict{break-inside:avoid;border:1px solid #bbb}}
";
