// The shell's own script: theme, copy buttons, and the live numbers of the Pipelines page. No framework.

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
