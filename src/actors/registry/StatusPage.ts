/** The page at `/` (rendezvous §6): static, without scripts of others; it fetches `/api/stats` and draws it. */

/** The document. */
export const HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pilot rendezvous</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: 1rem; }
dt { color: #666; } dd { font-size: 1.6rem; margin: 0; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; }
.high { color: #15803d; } .medium { color: #b45309; } .low { color: #b91c1c; }
form { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; margin: 1rem 0; }
</style>
</head>
<body>
<h1>Pilot rendezvous</h1>
<p id="uptime">loading …</p>
<dl id="counters"></dl>
<h2>Networks</h2>
<table><thead><tr><th>Id</th><th>Name</th><th>Online / total</th></tr></thead><tbody id="networks"></tbody></table>
<h2>Nodes</h2>
<form id="filter">
<label>Tag <input name="tag" size="12"></label>
<label><input type="checkbox" name="tasks"> tasks only</label>
<label><input type="checkbox" name="online"> online only</label>
<label>Sort <select name="sort"><option value="address">address</option><option value="online">status</option>
<option value="polo_score">score</option><option value="trust_links">trust</option><option value="tags">tags</option></select></label>
<button type="button" data-step="-1">previous</button><span id="page"></span><button type="button" data-step="1">next</button>
</form>
<table><thead><tr><th>Address</th><th>Status</th><th>Score</th><th>Trust</th><th>Tags</th><th>Tasks</th></tr></thead>
<tbody id="nodes"></tbody></table>
<script>
const ROWS = 25
let stats, page = 0
const byId = (id) => document.getElementById(id)
const row = (cells) => {
  const tr = document.createElement("tr")
  for (const [text, className] of cells) {
    const td = tr.insertCell()
    td.textContent = text
    if (className) td.className = className
  }
  return tr
}
const scoreClass = (score) => (score >= 50 ? "high" : score >= 0 ? "medium" : "low")
const sortKeys = {
  address: (node) => node.address,
  online: (node) => (node.online ? 0 : 1),
  polo_score: (node) => -node.polo_score,
  trust_links: (node) => -node.trust_links,
  tags: (node) => -node.tags.length
}
const draw = () => {
  const form = byId("filter"), key = sortKeys[form.sort.value], tag = form.tag.value.trim()
  const nodes = stats.nodes
    .filter((node) => (!tag || node.tags.includes(tag)) && (!form.tasks.checked || node.task_exec) && (!form.online.checked || node.online))
    .sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))
  const pages = Math.max(1, Math.ceil(nodes.length / ROWS))
  page = Math.min(Math.max(0, page), pages - 1)
  byId("page").textContent = page + 1 + " / " + pages
  byId("uptime").textContent = "up for " + stats.uptime_secs + " s"
  byId("counters").replaceChildren(...[["Requests", "total_requests"], ["Nodes", "total_nodes"], ["Online", "active_nodes"],
    ["Trust links", "total_trust_links"], ["Tags", "unique_tags"], ["Task executors", "task_executors"]].map(([label, name]) => {
    const div = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd")
    dt.textContent = label
    dd.textContent = stats[name]
    div.append(dt, dd)
    return div
  }))
  byId("networks").replaceChildren(...stats.networks.map((n) => row([[n.id], [n.name], [n.online_members + " / " + n.members]])))
  byId("nodes").replaceChildren(...nodes.slice(page * ROWS, (page + 1) * ROWS).map((node) =>
    row([[node.address], [node.online ? "online" : "offline"], [node.polo_score, scoreClass(node.polo_score)],
      [node.trust_links], [node.tags.join(", ")], [node.task_exec ? "yes" : ""]])))
}
const refresh = async () => {
  stats = await (await fetch("/api/stats")).json()
  draw()
}
byId("filter").addEventListener("input", () => { page = 0; draw() })
byId("filter").addEventListener("submit", (event) => event.preventDefault())
for (const button of document.querySelectorAll("[data-step]"))
  button.addEventListener("click", () => { page += Number(button.dataset.step); draw() })
refresh()
setInterval(refresh, 30000)
</script>
</body>
</html>
`
