"use strict";
// Shows what the API says, and nothing else: every number here is a field of a task, a round or a ledger.

const POLL_MILLISECONDS = 2000;
const COLOURS = ["#3b7dd8", "#d8763b", "#3ba86b", "#9a5bd0", "#c2a21f", "#c23b6e"];
const byId = (id) => document.getElementById(id);
const charts = new Map();
let key = sessionStorage.getItem("fedrec-operator-key") || "";
let timer = 0;

class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

async function get(path) {
  const answer = await fetch(path, { headers: { Authorization: `Bearer ${key}` }, cache: "no-store" });
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, problem.detail || problem.title || `the aggregator answered ${answer.status}`);
}

async function refresh() {
  clearTimeout(timer);
  try {
    const tasks = await get("v1/tasks");
    showTasks(tasks);
    const task = tasks.find((each) => each.task_id === byId("tasks").value);
    if (task) {
      const rounds = await get(`v1/tasks/${task.task_id}/rounds?limit=500`);
      show(task, rounds, task.manifest.privacy ? await get(`v1/tasks/${task.task_id}/privacy`) : null);
    }
    trouble(tasks.length ? "" : "There is no task yet: create one with POST /v1/tasks.");
  } catch (error) {
    if (error instanceof Refused && (error.status === 401 || error.status === 403)) return signIn(error.message);
    trouble(`No news from the aggregator: ${error.message}. Trying again.`);
  }
  timer = setTimeout(refresh, POLL_MILLISECONDS);
}

function trouble(words) {
  byId("trouble").textContent = words;
  byId("trouble").hidden = !words;
}

function signIn(words) {
  key = "";
  sessionStorage.removeItem("fedrec-operator-key");
  document.querySelector("main").hidden = byId("tasks").hidden = true;
  byId("sign-in").hidden = false;
  trouble(words);
}

function showTasks(tasks) {
  const select = byId("tasks");
  const known = [...select.options].map((option) => option.value).join();
  if (known !== tasks.map((task) => task.task_id).join()) {
    const chosen = select.value;
    select.replaceChildren(...tasks.map((task) => new Option(task.manifest.name, task.task_id)));
    if (tasks.some((task) => task.task_id === chosen)) select.value = chosen;
  }
  byId("sign-in").hidden = true;
  select.hidden = document.querySelector("main").hidden = !tasks.length;
}

function show(task, newestFirst, privacy) {
  const rounds = [...newestFirst].reverse();
  const current = rounds.at(-1);
  byId("state").textContent = task.state;
  byId("state-reason").textContent = `${task.state_reason}; ${task.rounds_published} versions trained`;
  byId("round").textContent = current ? `${current.number} · ${current.state}` : "none yet";
  byId("waiting-for").textContent = current ? `waiting for ${current.waiting_for}` : "waiting for the first version";
  byId("reports").max = current ? current.aggregation_goal : 1;
  byId("reports").value = current ? Math.min(current.reports, current.aggregation_goal) : 0;
  showBest(task, rounds);
  byId("epsilon").textContent = privacy ? `ε ${privacy.spent_epsilon.toFixed(2)} of ${privacy.budget_epsilon}` : "none promised";
  byId("privacy-words").textContent = privacy ? privacy.in_words : "this task adds no noise";
  showCharts(task, rounds);
  byId("rounds").replaceChildren(...newestFirst.slice(0, 100).map(row));
}

const measured = (rounds) => rounds.filter((round) => round.metrics && Object.keys(round.metrics).length);

function showBest(task, rounds) {
  const metric = task.manifest.metrics.at(-1);
  const best = measured(rounds).reduce((a, b) => (a && a.metrics[metric] >= b.metrics[metric] ? a : b), null);
  byId("best").textContent = best ? `${metric} ${best.metrics[metric].toFixed(4)}` : "not measured yet";
  byId("best-version").textContent = best ? `version ${best.base_version_id}, measured by ${best.evaluated}` : "";
}

function showCharts(task, rounds) {
  const seen = measured(rounds);
  const quality = task.manifest.metrics.map((name) => [name, seen.map((round) => round.metrics[name] ?? null)]);
  chart("quality", seen.map((round) => round.number), quality);
  const closed = rounds.filter((round) => round.closed_at);
  const pace = [["reports", closed.map((round) => round.reports)], ["seconds", closed.map(seconds)]];
  chart("pace", closed.map((round) => round.number), pace);
}

const seconds = (round) => (Date.parse(round.closed_at) - Date.parse(round.opened_at)) / 1000;

function chart(id, numbers, lines) {
  const data = [numbers, ...lines.map(([, values]) => values)];
  const shape = lines.map(([name]) => name).join();
  let drawn = charts.get(id);
  if (drawn && drawn.shape === shape) return drawn.plot.setData(data);
  if (drawn) drawn.plot.destroy();
  const axis = { stroke: "#888", grid: { stroke: "#8883" } };
  const scales = { x: { time: false } };
  const series = [{ label: "round" }, ...lines.map(([name], index) => ({ label: name, stroke: COLOURS[index % COLOURS.length], width: 2 }))];
  const size = { width: byId(id).clientWidth, height: 220 };
  drawn = { shape, plot: new uPlot({ ...size, scales, series, axes: [axis, axis] }, data, byId(id)) };
  charts.set(id, drawn);
}

function row(round) {
  const metrics = Object.entries(round.metrics || {}).map(([name, value]) => `${name} ${value.toFixed(4)}`).join("  ");
  const cells = [round.number, round.kind, round.state, `${round.reports} / ${round.aggregation_goal}`,
    round.closed_at ? seconds(round).toFixed(1) : "", metrics];
  const line = document.createElement("tr");
  line.replaceChildren(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
  return line;
}

byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  key = byId("key").value.trim();
  sessionStorage.setItem("fedrec-operator-key", key);
  byId("key").value = "";
  refresh();
});
byId("tasks").addEventListener("change", refresh);
addEventListener("resize", () => charts.forEach(({ plot }, id) => plot.setSize({ width: byId(id).clientWidth, height: 220 })));
if (key) refresh();
