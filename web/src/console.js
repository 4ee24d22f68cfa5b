// The shell's own script: theme, region, clock, copy buttons, filters, and what is live: flow, a shard's tail, a query.
// No framework; every page is whole without it.

const root = document.documentElement;

document.addEventListener("click", async (event) => {
  const theme = event.target.closest("[data-theme-toggle]");
  if (theme) {
    const next = root.dataset.theme === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    document.cookie = `lb-theme=${next}; path=/console; max-age=31536000; samesite=strict`;
    document.dispatchEvent(new CustomEvent("lb-theme"));
  }
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const text = document.getElementById(copy.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      const label = copy.textContent;
      copy.textContent = "Copied";
      setTimeout(() => (copy.textContent = label), 1200);
    } catch {
      getSelection().selectAllChildren(document.getElementById(copy.dataset.copy));
    }
  }
  const tab = event.target.closest("[role=tab]");
  if (tab) {
    for (const other of tab.parentElement.querySelectorAll("[role=tab]")) {
      const on = other === tab;
      other.setAttribute("aria-selected", on);
      document.getElementById(other.getAttribute("aria-controls")).hidden = !on;
    }
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-region]")) {
    document.cookie = `lb-region=${event.target.value}; path=/console; max-age=31536000; samesite=strict`;
    location.reload();
  }
});

// Rows that do not contain the words are hidden.
document.addEventListener("input", (event) => {
  const key = event.target.dataset?.filter;
  if (!key) return;
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of document.getElementById(key).tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
});

// "/" goes to the first filter of the page.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable=true]")) return;
  const field = document.querySelector("[data-filter], .filters input[type=search]");
  if (field) {
    event.preventDefault();
    field.focus();
  }
});

// Lakebed's own time ticks as fast as Lakebed's does (0: it is moved by hand).
const clock = document.querySelector("[data-clock]");
if (clock) {
  const base = Number(clock.dataset.clock);
  const scale = Number(clock.dataset.scale);
  const tick = () => {
    const now = new Date((base + (performance.now() / 1000) * scale) * 1000);
    clock.textContent = now.toISOString().replace("T", " ").replace(/\..*/, " UTC");
  };
  if (scale > 0) setInterval(tick, 1000);
}

// Pipelines: the server renders the page; this only refreshes numbers, and reloads when the graph itself changed.
class Flow extends HTMLElement {
  connectedCallback() {
    this.timer = setInterval(() => this.refresh(), 1000);
    document.addEventListener("visibilitychange", () => !document.hidden && this.refresh());
  }
  disconnectedCallback() {
    clearInterval(this.timer);
  }
  async refresh() {
    if (document.hidden || this.busy) return;
    this.busy = true;
    const state = document.getElementById("flow-state");
    try {
      const answer = await fetch(this.getAttribute("src"), { headers: { accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.status);
      const flow = await answer.json();
      if (flow.shape !== this.getAttribute("shape")) return location.reload();
      for (const [id, text] of Object.entries(flow.texts)) {
        const node = document.getElementById(id);
        if (node && node.textContent !== text) node.textContent = text;
      }
      for (const [id, classes] of Object.entries(flow.classes)) {
        document.getElementById(id)?.setAttribute("class", classes);
      }
      for (const [id, points] of Object.entries(flow.sparks)) {
        document.getElementById(id)?.setAttribute("d", points);
      }
      if (state) state.dataset.state = "live";
    } catch {
      if (state) state.dataset.state = "lost";
    } finally {
      this.busy = false;
    }
  }
}
customElements.define("lb-flow", Flow);

// A running query: asked for until it is done, then the page is drawn anew.
class Query extends HTMLElement {
  connectedCallback() {
    this.timer = setInterval(() => this.refresh(), 400);
  }
  disconnectedCallback() {
    clearInterval(this.timer);
  }
  async refresh() {
    if (this.busy) return;
    this.busy = true;
    const label = this.querySelector("[role=status]");
    try {
      const answer = await fetch(this.getAttribute("src"));
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.message);
      if (told.done) return location.reload();
      const word = told.state.charAt(0) + told.state.slice(1).toLowerCase();
      label.textContent = `${word} for ${told.seconds.toFixed(1)} s`;
    } catch (failure) {
      label.textContent = `No answer from Lakebed (${failure.message})`;
    } finally {
      this.busy = false;
    }
  }
}
customElements.define("lb-query", Query);

// A shard's records, a group's log events: the newest on top; at most two hundred are kept.
class Tail extends HTMLElement {
  connectedCallback() {
    this.button = this.querySelector("button");
    this.pill = this.querySelector(".pill");
    this.body = this.querySelector("tbody");
    this.button.addEventListener("click", () => (this.timer ? this.stop() : this.start()));
  }
  disconnectedCallback() {
    this.stop();
  }
  start() {
    this.querySelector(".scroll").hidden = false;
    this.button.textContent = "Stop following";
    this.button.setAttribute("aria-pressed", "true");
    this.timer = setInterval(() => this.refresh(), 2000);
    this.refresh();
  }
  stop() {
    clearInterval(this.timer);
    this.timer = undefined;
    this.button.textContent = "Follow live";
    this.button.setAttribute("aria-pressed", "false");
    this.pill.dataset.state = "off";
  }
  async refresh() {
    if (this.busy || document.hidden) return;
    this.busy = true;
    const address = new URL(this.getAttribute("src"), location.href);
    if (this.iterator) address.searchParams.set("iterator", this.iterator);
    try {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(answer.status);
      const told = await answer.json();
      for (const cells of told.rows) {
        const row = this.body.insertRow(0);
        for (const text of cells) row.insertCell().textContent = text;
      }
      while (this.body.rows.length > 200) this.body.deleteRow(-1);
      this.pill.dataset.state = "live";
      this.iterator = told.iterator;
      if (!told.iterator) this.stop();
    } catch {
      this.iterator = undefined;
      this.pill.dataset.state = "lost";
    } finally {
      this.busy = false;
    }
  }
}
customElements.define("lb-tail", Tail);

// A text to begin with is chosen from a list: what stands in the field is replaced by it.
document.addEventListener("change", (event) => {
  const field = document.querySelector(`[data-examples="${CSS.escape(event.target.id)}"]`);
  const chosen = event.target.selectedOptions?.[0]?.dataset.text;
  if (field && chosen !== undefined) field.value = chosen;
});
