// A comparison that is under way is asked for again; Enter searches; a dropped file is hashed.
"use strict";
(() => {
  // The page says that it is not ready: it is asked for as news from the journal are.
  function again() {
    if (document.querySelector("[data-again]")) document.body.dispatchEvent(new CustomEvent("np:changed"));
  }
  setInterval(again, 1000);

  // A line is searched by Enter; several are pasted.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches?.("textarea[name=q]")) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  });

  const zone = (event) => event.target.closest?.("[data-drop]");
  async function send(place, file) {
    const told = place.querySelector("[role=status]");
    if (!file) return;
    told.textContent = `hashing ${file.name} …`;
    try {
      const answer = await fetch(place.dataset.drop, {
        method: "POST", body: file,
        headers: { "X-CSRF-Token": place.dataset.csrf, "Content-Type": "application/octet-stream", Accept: "application/json", "X-File-Name": encodeURIComponent(file.name).slice(0, 1000) },
      });
      const found = await answer.json().catch(() => ({}));
      if (answer.ok && found.href) location.href = found.href;
      else told.textContent = found.message ?? `the file was not taken (${answer.status}): reload the page and try again`;
    } catch {
      told.textContent = "the file did not arrive: reload the page and try again (a folder cannot be sent)";
    }
  }
  document.addEventListener("dragover", (event) => {
    const place = zone(event);
    if (!place) return;
    event.preventDefault();
    place.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => zone(event)?.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    const place = zone(event);
    if (!place) return;
    event.preventDefault();
    place.classList.remove("over");
    send(place, event.dataTransfer.files[0]);
  });
  document.addEventListener("change", (event) => {
    const place = event.target.type === "file" && zone(event);
    if (place) send(place, event.target.files[0]);
  });
})();
