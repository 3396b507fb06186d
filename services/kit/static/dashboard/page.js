"use strict";
// What the dashboards of both services share: signing in, asking the API, charts and tables.
// A page's own script defines `showAll`, which is called again and again, and calls `start()`.

const POLL_MILLISECONDS = 2000;
const COLOURS = ["#3b7dd8", "#d8763b", "#3ba86b", "#9a5bd0", "#c2a21f", "#c23b6e"];
const CHART_HEIGHT = 220;
const byId = (id) => document.getElementById(id);
const charts = new Map();
let key = sessionStorage.getItem("fedrec-operator-key") || "";
let timer = 0;

class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

async function ask(method, path, body) {
  const headers = { Authorization: `Bearer ${key}`, ...(body ? { "Content-Type": "application/json" } : {}) };
  const answer = await fetch(path, { method, headers, cache: "no-store", body: body && JSON.stringify(body) });
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, problem.detail || problem.title || `the service answered ${answer.status}`);
}

const get = (path) => ask("GET", path);

async function refresh() {
  clearTimeout(timer);
  try {
    trouble(await showAll());
  } catch (error) {
    if (error instanceof Refused && (error.status === 401 || error.status === 403)) return signIn(error.message);
    trouble(`No news: ${error.message}. Trying again.`);
  }
  timer = setTimeout(refresh, POLL_MILLISECONDS);
}

// Do what an operator asked for, once that is confirmed; a refusal is said and changes nothing on the page.
async function act(question, method, path, body) {
  if (!confirm(question)) return;
  try {
    await ask(method, path, body);
    said("");
  } catch (error) {
    said(error.message);
  }
  refresh();
}

function say(id, words) {
  byId(id).textContent = words;
  byId(id).hidden = !words;
}

const trouble = (words) => say("trouble", words || "");
const said = (words) => say("refusal", words);

function signIn(words) {
  key = "";
  sessionStorage.removeItem("fedrec-operator-key");
  document.querySelector("main").hidden = byId("chosen").hidden = true;
  byId("sign-in").hidden = false;
  trouble(words);
}

// Offer names to choose from, as [label, value]; returns the chosen value, which the address may name: /dashboard#films.
function choose(options) {
  const select = byId("chosen");
  const known = [...select.options].map((option) => option.value).join();
  const chosen = location.hash.slice(1) || select.value;
  if (known !== options.map(([, value]) => value).join()) {
    select.replaceChildren(...options.map(([label, value]) => new Option(label, value)));
  }
  const named = options.find((option) => option.includes(chosen));
  if (named) select.value = named[1];
  byId("sign-in").hidden = true;
  select.hidden = document.querySelector("main").hidden = !options.length;
  return select.value;
}

function chart(id, numbers, lines) {
  byId(id).parentElement.hidden = !numbers.length;
  if (!numbers.length) return;
  const data = [numbers, ...lines.map(([, values]) => values)];
  const shape = lines.map(([name]) => name).join();
  let drawn = charts.get(id);
  if (drawn && drawn.shape === shape) return drawn.plot.setData(data);
  if (drawn) drawn.plot.destroy();
  const axis = { stroke: "#888", grid: { stroke: "#8883" } };
  const points = { show: true, size: 6 };
  const line = ([label, , dash], index) => ({ label, stroke: COLOURS[index % COLOURS.length], width: 2, dash, points });
  const series = [{ label: byId(id).dataset.x }, ...lines.map(line)];
  // Rounds and versions are counted: no ticks between two of them.
  const whole = { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] };
  const size = { width: byId(id).clientWidth, height: CHART_HEIGHT };
  drawn = { shape, plot: new uPlot({ ...size, scales: { x: { time: false } }, series, axes: [whole, axis] }, data, byId(id)) };
  charts.set(id, drawn);
}

function row(cells) {
  const line = document.createElement("tr");
  line.replaceChildren(...cells.map((cell) => {
    const box = document.createElement("td");
    box.append(cell);
    return box;
  }));
  return line;
}

function button(words, onClick) {
  const made = Object.assign(document.createElement("button"), { textContent: words });
  made.addEventListener("click", onClick);
  return made;
}

const inWords = (metrics) => Object.entries(metrics || {}).map(([name, value]) => `${name} ${value.toFixed(4)}`).join("  ");

const inBytes = (size) => (size < 1e6 ? `${(size / 1e3).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`);

const when = (time) => time.slice(0, 19).replace("T", " ");

function start() {
  byId("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    key = byId("key").value.trim();
    sessionStorage.setItem("fedrec-operator-key", key);
    byId("key").value = "";
    refresh();
  });
  byId("chosen").addEventListener("change", () => { location.hash = byId("chosen").value; });
  addEventListener("hashchange", () => key && refresh());
  addEventListener("resize", () => charts.forEach(({ plot }, id) => plot.setSize({ width: byId(id).clientWidth, height: CHART_HEIGHT })));
  if (key) refresh();
}
