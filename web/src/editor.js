// <lb-editor>: CodeMirror over the form's textarea. The textarea stays the field that is sent; Ctrl-Enter sends the form.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { sql, StandardSQL } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { highlightSelectionMatches } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const look = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--code)", fontSize: "13px", borderRadius: "8px" },
  "&.cm-focused": { outline: "2px solid var(--link)" },
  ".cm-content": { fontFamily: 'ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace', caretColor: "var(--text)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--code)", color: "var(--text-secondary)", border: "none", paddingLeft: "6px" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--accent-soft)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--selection) !important" },
  ".cm-tooltip": { backgroundColor: "var(--surface-raised)", border: "1px solid var(--border)", color: "var(--text)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--surface)" },
  ".cm-scroller": { minHeight: "150px", maxHeight: "420px", lineHeight: "1.6" },
});
const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--sql-keyword)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--sql-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--sql-number)" },
  { tag: tags.comment, color: "var(--text-secondary)", fontStyle: "italic" },
  { tag: [tags.typeName, tags.function(tags.variableName)], color: "var(--link)" },
]);

// Drafts, a tab each, kept by this browser. The page's own text (a query shown, a saved one) goes into the tab in front.
class Tabs {
  constructor(editor) {
    this.editor = editor;
    this.bar = document.createElement("div");
    this.bar.className = "editor-tabs";
    this.bar.setAttribute("role", "group");
    this.bar.setAttribute("aria-label", "Drafts");
    editor.prepend(this.bar);
    let kept;
    try {
      kept = JSON.parse(localStorage.getItem("lb-drafts"));
    } catch {
      kept = null;
    }
    this.texts = Array.isArray(kept?.texts) && kept.texts.length ? kept.texts.map(String).slice(0, 20) : [""];
    this.front = Math.min(Math.max(Number(kept?.front) || 0, 0), this.texts.length - 1);
    // What ran may be a part of the draft, or have been put under EXPLAIN or into a view: then the draft stays.
    const ran = editor.text.replace(/^(EXPLAIN|CREATE OR REPLACE VIEW .* AS)\s+/, "");
    if (!this.texts[this.front].includes(ran)) this.texts[this.front] = editor.text;
    editor.text = this.texts[this.front];
    this.draw();
  }
  keep() {
    this.texts[this.front] = this.editor.text;
    localStorage.setItem("lb-drafts", JSON.stringify({ texts: this.texts, front: this.front }));
  }
  go(place) {
    this.keep();
    this.front = place;
    this.editor.text = this.texts[place];
    this.keep();
    this.draw();
  }
  close(place) {
    this.keep();
    this.texts.splice(place, 1);
    if (!this.texts.length) this.texts = [""];
    this.front = Math.min(this.front > place ? this.front - 1 : this.front, this.texts.length - 1);
    this.editor.text = this.texts[this.front];
    this.keep();
    this.draw();
  }
  draw() {
    const button = (text, label, act) => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = text;
      if (label) made.setAttribute("aria-label", label);
      made.addEventListener("click", act);
      return made;
    };
    this.bar.replaceChildren(
      ...this.texts.map((_, place) => {
        const tab = document.createElement("span");
        tab.className = "editor-tab";
        const name = button(`Query ${place + 1}`, "", () => this.go(place));
        if (place === this.front) name.setAttribute("aria-current", "true");
        tab.append(name);
        if (this.texts.length > 1) tab.append(button("×", `Close query ${place + 1}`, () => this.close(place)));
        return tab;
      }),
      button("+", "New query", () => {
        if (this.texts.length < 20) this.texts.push("");
        this.go(this.texts.length - 1);
      }),
    );
  }
}

class Editor extends HTMLElement {
  get text() {
    return this.view.state.doc.toString();
  }
  set text(text) {
    this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text } });
  }
  connectedCallback() {
    const area = this.querySelector("textarea");
    const schema = JSON.parse(this.querySelector("script").textContent);
    const send = () => {
      area.form.requestSubmit();
      return true;
    };
    // What is selected is what runs; all else of the form goes with it.
    area.form.addEventListener("submit", () => {
      const { from, to } = this.view.state.selection.main;
      const field = area.form.elements.selection;
      if (field) field.value = this.view.state.sliceDoc(from, to);
    });
    this.view = new EditorView({
      parent: this,
      state: EditorState.create({
        doc: area.value,
        extensions: [
          lineNumbers(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), autocompletion(),
          highlightActiveLine(), highlightSelectionMatches(), EditorView.lineWrapping, look, syntaxHighlighting(colours),
          sql({ dialect: StandardSQL, schema, upperCaseKeywords: true }), placeholder(area.placeholder),
          EditorView.contentAttributes.of({ "aria-label": "SQL" }),
          EditorView.updateListener.of((update) => {
            if (!update.docChanged) return;
            area.value = update.state.doc.toString();
            this.tabs?.keep();
          }),
          keymap.of([
            { key: "Mod-Enter", run: send },
            ...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab,
          ]),
        ],
      }),
    });
    if (!this.hasAttribute("plain")) this.tabs = new Tabs(this);
    area.hidden = true;
    area.required = false; // a hidden field cannot be pointed at; the server says what is missing
    this.dataset.ready = "true";
  }
}
customElements.define("lb-editor", Editor);
