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

class Editor extends HTMLElement {
  connectedCallback() {
    const area = this.querySelector("textarea");
    const schema = JSON.parse(this.querySelector("script").textContent);
    const send = () => {
      area.form.requestSubmit();
      return true;
    };
    this.view = new EditorView({
      parent: this,
      state: EditorState.create({
        doc: area.value,
        extensions: [
          lineNumbers(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), autocompletion(),
          highlightActiveLine(), highlightSelectionMatches(), EditorView.lineWrapping, look, syntaxHighlighting(colours),
          sql({ dialect: StandardSQL, schema, upperCaseKeywords: true }), placeholder(area.placeholder),
          EditorView.contentAttributes.of({ "aria-label": "SQL" }),
          EditorView.updateListener.of((update) => update.docChanged && (area.value = update.state.doc.toString())),
          keymap.of([
            { key: "Mod-Enter", run: send },
            ...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab,
          ]),
        ],
      }),
    });
    area.hidden = true;
    area.required = false; // a hidden field cannot be pointed at; the server says what is missing
    this.dataset.ready = "true";
  }
}
customElements.define("lb-editor", Editor);
