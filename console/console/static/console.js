// Everything that the pages do by themselves. They are complete without it, but do not change then.

const THEMES = ["auto", "light", "dark"];

function themeSwitch(button) {
  const show = () => {
    button.textContent = `Theme: ${document.documentElement.dataset.theme ?? "auto"}`;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? "auto";
    const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try { localStorage.setItem("theme", next); } catch { /* it lasts until the next page then */ }
    show();
  });
  show();
}

// As the server writes durations (pages/rendering.py).
function duration(seconds) {
  const whole = Math.floor(seconds), two = (n) => String(n).padStart(2, "0");
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${whole} s`;
  if (seconds < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

function tick() {
  for (const cell of document.querySelectorAll("[data-since]")) {
    cell.textContent = duration(Math.max(0, Date.now() / 1000 - Number(cell.dataset.since)));
  }
}

function stampLines(root) {
  for (const time of root.querySelectorAll("time[data-at]")) {
    const at = new Date(Number(time.dataset.at));
    time.dateTime = at.toISOString();
    time.textContent = at.toISOString().slice(11, 19);
    delete time.dataset.at;
  }
}

function follow(address, handlers) {
  const source = new EventSource(address);
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  }
  source.addEventListener("end", () => source.close());
  window.addEventListener("pagehide", () => source.close());
}

// Replaces the content of a part; open details stay open and the focus stays where it was.
function replace(element, html) {
  const open = new Set([...element.querySelectorAll("[data-row] details[open]")].map((one) => one.closest("[data-row]").dataset.row));
  const focused = element.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  element.innerHTML = html;
  for (const row of element.querySelectorAll("[data-row]")) {
    if (open.has(row.dataset.row)) row.querySelector("details")?.setAttribute("open", "");
  }
  if (focused) element.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  tick();
}

const STATUSES = ["idle", "running", "succeeded", "caught", "failed", "stopped"];

function colour(graph, marks) {
  let latest = null;
  for (const state of document.querySelectorAll("[data-state]")) {
    const status = marks[state.dataset.state] ?? "idle";
    state.classList.remove(...STATUSES);
    state.classList.add(status);
    if (status === "running" || status === "failed") latest = state;
    if (status === "failed") state.closest("details")?.setAttribute("open", "");
  }
  if (latest && graph.contains(latest)) centre(graph, latest);
}

let touched = 0;
function centre(graph, state) {
  if (Date.now() - touched < 10_000) return; // somebody is looking elsewhere
  const box = state.getBoundingClientRect(), frame = graph.getBoundingClientRect();
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  graph.scrollTo({
    top: graph.scrollTop + box.top - frame.top - frame.height / 2 + box.height / 2,
    left: graph.scrollLeft + box.left - frame.left - frame.width / 2 + box.width / 2,
    behavior: still ? "auto" : "smooth",
  });
}

function runPage(page) {
  const graph = document.getElementById("graph"), lines = document.getElementById("lines");
  for (const kind of ["wheel", "pointerdown", "keydown", "touchstart"]) {
    graph.addEventListener(kind, () => { touched = Date.now(); }, { passive: true });
  }
  const at = graph.querySelector(".state.running, .state.failed");
  if (at) centre(graph, at);
  else graph.scrollLeft = (graph.scrollWidth - graph.clientWidth) / 2;
  lines.scrollTop = lines.scrollHeight;
  if (page.dataset.status !== "RUNNING") return;
  follow(page.dataset.run, {
    run(data) {
      for (const [id, html] of Object.entries(data.parts)) {
        const element = document.getElementById(id);
        if (element) replace(element, html);
      }
      colour(graph, data.graph);
    },
    log(data) {
      const atEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 24;
      if (data.new) lines.replaceChildren();
      document.getElementById("log-job").textContent = data.job;
      lines.insertAdjacentHTML("beforeend", data.html);
      while (lines.childElementCount > 500) lines.firstElementChild.remove();
      stampLines(lines);
      if (atEnd || data.new) lines.scrollTop = lines.scrollHeight;
    },
  });
}

// Asks for the plan of other rules while they are typed; an answer that comes after a later one is dropped.
function whatIf(form) {
  const outcome = document.getElementById("what-if-outcome");
  let waiting, last = 0;
  const ask = async () => {
    const number = ++last;
    outcome.setAttribute("aria-busy", "true");
    const answer = await fetch(`${form.dataset.address}?${new URLSearchParams(new FormData(form))}`);
    const html = await answer.text();
    if (number !== last) return;
    if (answer.ok || answer.status === 422) outcome.innerHTML = html;
    else outcome.textContent = `The console answered ${answer.status}.`;
    outcome.removeAttribute("aria-busy");
  };
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, 200);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
}

for (const box of document.querySelectorAll(".scroll.latest")) box.scrollLeft = box.scrollWidth;
themeSwitch(document.getElementById("theme"));
stampLines(document);
tick();
setInterval(tick, 1000);
const list = document.getElementById("runs");
if (list) follow(list.dataset.events, { runs: (data) => replace(list, data.html) });
const run = document.getElementById("run");
if (run) runPage(run);
const rules = document.getElementById("what-if");
if (rules) whatIf(rules);
document.getElementById("wrong")?.focus();
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
for (const select of document.querySelectorAll("select[data-submit]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
