// Start a page that contains its data.

try {
  load(JSON.parse(element("header").textContent), reader(await decompressed(element("payload").textContent.trim())));
} catch (error) {
  fail(`The data of this page cannot be read: ${error.message}.`);
  return;
}
select(0);
readColors(); readHash(); showHeader(); buildControls(); connectControls(); update();
