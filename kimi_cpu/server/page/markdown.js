// Markdown from a model to nodes that can do nothing: whatever the text holds is sanitised before it is shown.

const ALLOWED = {
  ALLOWED_TAGS: [
    "a", "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "kbd", "li",
    "ol", "p", "pre", "s", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["href", "class", "start", "align"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

marked.use({
  gfm: true,
  breaks: true,
  renderer: {
    // An image would tell its server who reads this; it becomes a link.
    image({ href, text }) {
      const link = document.createElement("a");
      link.href = href;
      link.textContent = text || href;
      return link.outerHTML;
    },
    // Raw HTML is text. (DOMPurify would clean it; but then a reader would not see what the model wrote.)
    html({ text }) {
      const plain = document.createElement("p");
      plain.textContent = text;
      return plain.innerHTML;
    },
  },
});

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A") {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer nofollow");
  }
  if (node.hasAttribute("class") && !/^language-[\w+#-]+$/.test(node.getAttribute("class"))) node.removeAttribute("class");
});

/** Puts the text's rendering into an element. isDone: nothing more comes, so code is coloured and can be copied. */
export function render(element, text, isDone) {
  element.replaceChildren(DOMPurify.sanitize(marked.parse(text), ALLOWED));
  if (!isDone) return;
  for (const code of element.querySelectorAll("pre > code")) {
    hljs.highlightElement(code);
    const copy = document.createElement("button");
    copy.className = "copy";
    copy.textContent = "Copy";
    copy.addEventListener("click", () => navigator.clipboard?.writeText(code.textContent));
    code.parentElement.append(copy);
  }
}
