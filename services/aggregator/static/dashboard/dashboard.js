"use strict";
// Shows what the API says, and nothing else: every number here is a field of a task, a round or a ledger.

let task = null;

async function showAll() {
  const tasks = await get("v1/tasks");
  const chosen = choose(tasks.map((each) => [each.manifest.name, each.task_id]));
  task = tasks.find((each) => each.task_id === chosen);
  if (!task) return "There is no task yet: create one with POST /v1/tasks.";
  const rounds = await get(`v1/tasks/${task.task_id}/rounds?limit=500`);
  show(rounds, task.manifest.privacy ? await get(`v1/tasks/${task.task_id}/privacy`) : null);
  return "";
}

function show(newestFirst, privacy) {
  const rounds = [...newestFirst].reverse();
  showTask();
  showRound(rounds.at(-1));
  showBest(rounds);
  byId("epsilon").textContent = privacy ? `ε ${privacy.spent_epsilon.toFixed(2)} of ${privacy.budget_epsilon}` : "none promised";
  byId("spent").hidden = !privacy;
  byId("spent").value = privacy ? privacy.spent_epsilon / privacy.budget_epsilon : 0;
  byId("privacy-words").textContent = privacy ? privacy.in_words : "this task adds no noise";
  showCharts(rounds);
  byId("rounds").replaceChildren(...newestFirst.slice(0, 100).map(roundRow));
}

function showTask() {
  const budget = task.manifest.stop.round_budget;
  byId("state").textContent = task.state;
  byId("state-reason").textContent = task.state_reason;
  byId("trained").max = budget;
  byId("trained").value = task.rounds_published;
  byId("trained-words").textContent = `${task.rounds_published} of at most ${budget} versions trained`;
  byId("trains").textContent = `recipe ${task.manifest.recipe.name}, model ${task.manifest.model}`;
  const models = byId("other-page");
  if (models.getAttribute("href")) models.hash = task.manifest.model;
  byId("pause").hidden = task.state !== "active";
  byId("resume").hidden = !["paused", "failed"].includes(task.state);
  byId("cancel").hidden = task.state === "completed";
}

function showRound(current) {
  byId("round").textContent = current ? `${current.number} · ${current.state}` : "none yet";
  byId("waiting-for").textContent = !current ? "waiting for the first version"
    : isOver(current) ? current.waiting_for : `waiting for ${current.waiting_for}`;
  byId("reports").max = current ? current.aggregation_goal : 1;
  byId("reports").value = current ? Math.min(current.reports, current.aggregation_goal) : 0;
}

const isOver = (round) => ["published", "abandoned"].includes(round.state);
const measured = (rounds) => rounds.filter((round) => round.metrics && Object.keys(round.metrics).length);

function showBest(rounds) {
  const metric = task.manifest.metrics.at(-1);
  const best = measured(rounds).reduce((a, b) => (a && a.metrics[metric] >= b.metrics[metric] ? a : b), null);
  byId("best").textContent = best ? `${metric} ${best.metrics[metric].toFixed(4)}` : "not measured yet";
  byId("best-version").textContent = best ? `before round ${best.number}, ${best.evaluated} evaluations` : "";
  byId("best-id").textContent = best ? best.base_version_id : "";
}

function showCharts(rounds) {
  const seen = measured(rounds);
  const quality = task.manifest.metrics.map((name) => [name, seen.map((round) => round.metrics[name] ?? null)]);
  chart("quality", seen.map((round) => round.number), quality);
  const closed = rounds.filter((round) => round.closed_at);
  const numbers = closed.map((round) => round.number);
  const goal = ["goal", closed.map((round) => round.aggregation_goal), [4, 4]];
  chart("reported", numbers, [["reports", closed.map((round) => round.reports)], goal]);
  chart("pace", numbers, [["seconds", closed.map(seconds)]]);
}

const seconds = (round) => (Date.parse(round.closed_at) - Date.parse(round.opened_at)) / 1000;

function roundRow(round) {
  const blamed = Object.keys(round.blamed || {}).length;
  const state = round.state === "abandoned" ? round.waiting_for : round.state;
  return row([String(round.number), round.kind, blamed ? `${state} (${blamed} blamed)` : state,
    `${round.reports} / ${round.aggregation_goal}`, String(round.assignments),
    round.closed_at ? seconds(round).toFixed(1) : "", inWords(round.metrics)]);
}

const steer = (verb, question) =>
  byId(verb).addEventListener("click", () => act(question(task.manifest.name), "POST", `v1/tasks/${task.task_id}/${verb}`));
steer("pause", (name) => `Pause ${name} after its open round?`);
steer("resume", (name) => `Let ${name} go on?`);
steer("cancel", (name) => `End ${name} now, and for good?`);
start();
