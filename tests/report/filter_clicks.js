// Presses every button of the filter of a page and returns, for each, its text and the verdicts left on show.
function clicks(document) {
  return [...document.querySelectorAll(".filter button")].map((button) => {
    button.click();
    const shown = [...document.querySelectorAll("table.filtered tbody tr")].filter((row) => !row.hidden);
    const pressed = document.querySelectorAll('.filter button[aria-pressed="true"]');
    const only = pressed.length === 1 && pressed[0] === button;
    return [button.textContent, shown.map((row) => row.querySelector(".l0").textContent), only];
  });
}
