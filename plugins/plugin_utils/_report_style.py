# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""How the report's page looks. Everything is in the page: it is opened from a directory, from a bucket, from a mail."""

from __future__ import annotations

import typing as t

# Okabe and Ito's colours: told apart by people who see few. The letter is the class of a span.
COLOURS: t.Mapping[str, tuple[str, str]] = {
    "stage": ("a", "#8f979f"),
    "drain": ("b", "#e69f00"),
    "activate": ("c", "#cc79a7"),
    "stop": ("d", "#d55e00"),
    "boot": ("e", "#0072b2"),
    "gate": ("f", "#56b4e9"),
    "join": ("g", "#009e73"),
    "bake": ("k", "#7fc9a9"),
    "return": ("h", "#d9c912"),
    "other": ("o", "#7a5fb5"),
}

_RULES = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1d232a;--dim:#59636e;--line:#d5dbe1;--soft:#f4f6f8;--band:#e9eef4;--good:#18733a;--bad:#b91c1c;--warn:#8a5a00;
--plan:#0b5cad;--badsoft:#fdf0ef;--warnsoft:#fdf6e3;--label:9.5rem}
@media(prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e4e8ec;--dim:#9aa5b1;--line:#343c45;--soft:#1c2229;--band:#232b34;--good:#4cc075;--bad:#ff7b72;--warn:#e3b341;
--plan:#6cb6ff;--badsoft:#2d1a1b;--warnsoft:#2a2416}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1.5rem 1.25rem 3rem;background:var(--bg);color:var(--fg);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:.15rem 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:2rem 0 .6rem}
p{margin:.3rem 0;overflow-wrap:anywhere}
code,pre,.m{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.87em}
.dim,.eyebrow,footer{color:var(--dim)}.eyebrow{font-size:.85rem;letter-spacing:.02em}
header{border-left:6px solid var(--k);padding:.1rem 0 .1rem 1.1rem}
.good{--k:var(--good)}.bad{--k:var(--bad)}.warn{--k:var(--warn)}.plan{--k:var(--plan)}
.tag{color:var(--k);font-weight:600;white-space:nowrap}
h1 .tag{border:1.5px solid;border-radius:2rem;font-size:.9rem;padding:.12rem .7rem;vertical-align:.3rem;margin-left:.35rem}
.cards{display:flex;flex-wrap:wrap;gap:.6rem;margin:1.3rem 0 0}
.cards div{background:var(--soft);border:1px solid var(--line);border-radius:.5rem;padding:.45rem .85rem;min-width:6.5rem}
dt{color:var(--dim);font-size:.8rem}dd{margin:0;font-size:1.15rem;font-weight:600;overflow-wrap:anywhere}
dd small{display:block;font-size:.78rem;font-weight:400;color:var(--dim)}
.note{background:var(--warnsoft);border:1px solid var(--line);border-left:4px solid var(--warn);border-radius:.3rem;padding:.5rem .9rem;margin:1rem 0}
.fault{background:var(--badsoft);border:1px solid var(--line);border-left:4px solid var(--k);border-radius:.3rem;padding:.5rem .9rem;margin:.5rem 0}
summary{cursor:pointer;color:var(--dim);font-size:.9rem}
pre{margin:.4rem 0;max-height:22rem;padding:.6rem .8rem;background:var(--bg);border:1px solid var(--line);border-radius:.3rem;
overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.85rem;color:var(--dim);margin:0 0 .6rem;padding:0;list-style:none}
.legend i{display:inline-block;width:.95rem;height:.75rem;border-radius:2px;margin-right:.4rem;vertical-align:-.06rem}
.chart{position:relative;padding-top:1.5rem;font-size:.85rem}
.grid{position:absolute;top:0;bottom:0;left:var(--label);right:0}
.grid i{position:absolute;top:0;bottom:0;border-left:1px solid var(--line);font-style:normal;color:var(--dim);font-size:.75rem;
padding-left:.25rem;white-space:nowrap}
.batch{position:relative;padding:.15rem 0 .35rem;border-top:1px solid var(--line)}
.batch>p{position:relative;z-index:1;margin:0;color:var(--dim);font-size:.8rem;width:max-content;max-width:100%;background:var(--bg);padding-right:.5rem;border-radius:.3rem}
.band{position:absolute;top:0;bottom:0;left:var(--label);right:0;overflow:hidden}
.band i{position:absolute;top:0;bottom:0;background:var(--band);opacity:.75}
.lane{position:relative;display:flex;align-items:center;min-height:1.3rem}
.lane>b{width:var(--label);flex:none;font-weight:500;padding-right:.6rem;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.lane>b.bad{color:var(--bad);font-weight:700}
.lane>div{position:relative;flex:1;height:.95rem;background:linear-gradient(var(--line),var(--line)) 0 50%/100% 1px no-repeat}
.lane i{position:absolute;top:0;bottom:0;min-width:2px;border-radius:2px;font-style:normal}
.lane i:hover{outline:2px solid var(--fg);z-index:2}
.lane i.x{outline:2px solid var(--bad);z-index:1}
.lane i.x::after{content:"✕";position:absolute;left:calc(100% - .3rem);top:-.03rem;width:1rem;height:1rem;border-radius:50%;
background:var(--bg);color:var(--bad);font-size:.8rem;font-weight:700;line-height:1rem;text-align:center}
.lane em{position:absolute;left:.4rem;top:-.18rem;background:var(--bg);padding:0 .4rem;color:var(--dim);font-size:.8rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.87rem}.wide{width:100%}
th,td{text-align:left;padding:.28rem 1.4rem .28rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--dim);font-weight:500;white-space:nowrap}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.wide th,.wide td{padding-right:.6rem}
tr:hover td{background:var(--soft)}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;font-size:.9rem}.facts dd{font-size:inherit;font-weight:400}
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.6rem;font-size:.8rem}
@media(max-width:40rem){:root{--label:6rem}body{padding:1rem .8rem}.grid i:nth-child(even){color:transparent}}
@media print{:root{--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;--soft:#fff}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
html{font-size:10.5px}body{max-width:none;padding:0;font-size:1rem}pre{max-height:none!important}.batch,.fault,tr{break-inside:avoid}h2{break-after:avoid}.scroll{overflow:visible}}
"""


def css() -> str:
    spans = "".join(".%s{background:%s}" % pair for pair in COLOURS.values())
    return _RULES.strip().replace("\n", "") + spans


def letter(step: str) -> str:
    return COLOURS.get(step, COLOURS["other"])[0]
