/** A model's text is a stranger's: Markdown is rendered, then sanitised; links open elsewhere, nothing is fetched. */
import DOMPurify from "dompurify";
import { marked } from "marked";

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer");
});
const RULES = {
  USE_PROFILES: { html: true },
  FORBID_TAGS: ["img", "picture", "video", "audio", "source", "style", "form", "input", "button", "svg", "iframe"],
  FORBID_ATTR: ["style", "class", "id"],
};

export function Markdown({ text }: { text: string }) {
  const html = DOMPurify.sanitize(marked.parse(text, { async: false, gfm: true, breaks: true }), RULES);
  return <div class="markdown" dangerouslySetInnerHTML={{ __html: html }} />;
}
