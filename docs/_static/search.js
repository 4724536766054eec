// The index of the search is as large as the rest of a page, so it is loaded when the search opens.
document.addEventListener("DOMContentLoaded", () => {
  const dialog = document.getElementById("pst-search-dialog");
  const load = () => {
    const script = document.createElement("script");
    script.src = document.documentElement.dataset.content_root + "searchindex.js";
    document.head.append(script);
  };
  if (dialog && !Search.hasIndex()) dialog.addEventListener("focusin", load, { once: true });
});
