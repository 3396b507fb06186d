"use strict";
// Versions of a model, and which of them is in production. Every number here is a field of a version or an alias.

const ALIAS = "production";
let model = "";

async function showAll() {
  const models = await get("v1/models?limit=500");
  model = choose(models.map(({ name }) => [name, name]));
  const chosen = models.find(({ name }) => name === model);
  if (!chosen) return "There is no model yet: a task makes its own with its first version.";
  const versions = await get(`v1/models/${model}/versions?limit=500`);
  const moves = chosen.aliases[ALIAS] ? await get(`v1/models/${model}/aliases/${ALIAS}/history?limit=50`) : [];
  show(versions, chosen.aliases[ALIAS], moves);
  return "";
}

function show(newestFirst, currentId, moves) {
  const byNumber = [...newestFirst].reverse();
  const current = newestFirst.find(({ version_id }) => version_id === currentId);
  byId("current").textContent = current ? `version ${current.number}` : currentId || "nothing promoted";
  byId("since").textContent = moves.length ? `since ${when(moves[0].moved_at)} UTC, by ${moves[0].operator}` : "";
  byId("current-metrics").textContent = current ? inWords(current.metrics) || "not measured yet" : "";
  byId("roll-back").hidden = moves.length < 2;
  const newest = newestFirst[0];
  byId("newest").textContent = newest ? `version ${newest.number}` : "none";
  byId("newest-words").textContent = newest ? `${when(newest.created_at)} UTC, ${inWords(newest.metrics) || "not measured yet"}` : "";
  showBest(newestFirst);
  const spent = current && epsilon(current);
  byId("epsilon").textContent = spent ? `ε ${spent.toFixed(2)}` : "none promised";
  byId("privacy-words").textContent = spent ? `at δ ${current.lineage.privacy.delta}` : "";
  showCharts(byNumber);
  byId("versions").replaceChildren(...newestFirst.map((version) => versionRow(version, currentId)));
  byId("log").parentElement.hidden = !moves.length;
  byId("moves").replaceChildren(...moves.map((move) => moveRow(move, newestFirst)));
}

const epsilon = ({ lineage }) => (lineage.privacy && typeof lineage.privacy.epsilon === "number" ? lineage.privacy.epsilon : null);

function showBest(versions) {
  const metric = [...new Set(versions.flatMap(({ metrics }) => Object.keys(metrics)))].at(-1);
  const best = versions.filter(({ metrics }) => metric in metrics).reduce((a, b) => (a && a.metrics[metric] >= b.metrics[metric] ? a : b), null);
  byId("best").textContent = best ? `version ${best.number}` : "not measured yet";
  byId("best-words").textContent = best ? `${inWords(best.metrics)}, ${best.evaluated} evaluations` : "";
}

function showCharts(versions) {
  const seen = versions.filter(({ metrics }) => Object.keys(metrics).length);
  const names = [...new Set(seen.flatMap(({ metrics }) => Object.keys(metrics)))];
  const lines = names.map((name) => [name, seen.map(({ metrics }) => metrics[name] ?? null)]);
  chart("quality", seen.map(({ number }) => number), lines);
  const private_ = versions.filter(epsilon);
  chart("spent", private_.map(({ number }) => number), [["ε", private_.map(epsilon)]]);
}

function versionRow(version, currentId) {
  const isCurrent = version.version_id === currentId;
  const spent = epsilon(version);
  const drawn = row([String(version.number), when(version.created_at), madeBy(version.lineage),
    String(version.lineage.report_count ?? ""), spent ? spent.toFixed(2) : "",
    version.has_weights ? inBytes(version.size_bytes) : "weights deleted", inWords(version.metrics),
    isCurrent ? "in production" : version.has_weights ? button("Promote", () => move(version)) : ""]);
  drawn.title = version.version_id;
  return drawn;
}

function madeBy({ recipe, recipe_config, members, round_number }) {
  const parts = members ? ` of ${(recipe_config.members || []).map(({ name }) => name).join(" and ")}` : "";
  const round = round_number ? `, round ${round_number}` : "";
  return recipe ? `${recipe}${parts}${round}` : "uploaded";
}

function moveRow(entry, versions) {
  const target = versions.find(({ version_id }) => version_id === entry.to_version_id);
  return row([when(entry.moved_at), entry.action, target ? String(target.number) : entry.to_version_id, entry.operator, entry.reason]);
}

const move = ({ number, version_id, metrics }) => act(
  `Promote version ${number} of ${model} to ${ALIAS}?\n\nIt has: ${inWords(metrics) || "not been measured"}\n${byId("current").textContent} has: ${byId("current-metrics").textContent}`,
  "PUT", `v1/models/${model}/aliases/${ALIAS}`, { version_id, reason: "on the dashboard" });
byId("roll-back").addEventListener("click", () => act(`Roll ${ALIAS} of ${model} back to the version before?`,
  "POST", `v1/models/${model}/aliases/${ALIAS}/rollback`, { reason: "on the dashboard" }));
start();
