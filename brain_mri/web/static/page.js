"use strict";

// One image at a time: the newest request counts, older ones are given up.

const at = (id) => document.getElementById(id);
const MOST_BYTES = Number(document.body.dataset.bytes);
const LONGEST_ENDING = 8;

let current = null; // {file, crop}: what the answer on the page is about
let asking = new AbortController();
let mapping = new AbortController();

class Problem extends Error {}

async function get(path, settings) {
  let response;
  try {
    response = await fetch(path, settings);
  } catch (error) {
    if (settings.signal.aborted) throw error;
    throw new Problem("The program behind this page does not answer. Is it still running? Start it again with: make app");
  }
  if (!response.ok) throw new Problem((await response.json()).error);
  return response;
}

function post(path, values, body, signal) {
  const headers = { "Content-Type": "application/octet-stream" };
  return get(`${path}?${new URLSearchParams(values)}`, { method: "POST", headers, body, signal });
}

// Of a name the end alone is sent, by which some medical files are known: the rest may name a patient.
function ending(name) {
  const found = name.toLowerCase().match(/\.nii\.gz$|\.[a-z0-9]+$/);
  return found && found[0].length <= LONGEST_ENDING ? found[0] : "";
}

// What stands on the page anyway is said to screen readers alone.
function say(words, aloud = false) {
  at("status").textContent = words;
  at("status").classList.toggle("aloud", aloud);
}

function complain(words) {
  at("problem").textContent = words;
  at("problem").hidden = !words;
}

async function contents(file) {
  if (file.size > MOST_BYTES) throw new Problem(document.body.dataset.tooLarge);
  try {
    return await file.arrayBuffer();
  } catch {
    throw new Problem("This file cannot be opened. If it is a folder, choose an image in it.");
  }
}

// `find` gives the file; `drawn` says what a sample shows, `slice` which slice of a volume is asked for.
async function ask(find, { slice = null, drawn = "" } = {}) {
  asking.abort();
  mapping.abort();
  asking = new AbortController();
  const { signal } = asking;
  complain("");
  say("Looking at the image \u2026");
  at("result").setAttribute("aria-busy", "true");
  try {
    const file = await find(signal);
    const body = await contents(file);
    const values = { ending: ending(file.name), ...(slice === null ? {} : { slice }) };
    const answer = await (await post("/answer", values, body, signal)).json();
    if (signal.aborted) return;
    current = { file, crop: bytes(answer.crop) };
    show(answer, drawn, slice);
  } catch (error) {
    if (signal.aborted) return;
    say("");
    if (slice === null) hide();
    complain(error instanceof Problem ? error.message : "Something went wrong on this page. Please load it again.");
    if (!(error instanceof Problem)) throw error;
    at("problem").scrollIntoView({ block: "nearest" });
  } finally {
    if (!signal.aborted) at("result").removeAttribute("aria-busy");
  }
}

// The page's own rules forbid to fetch a data URL.
function bytes(url) {
  return Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
}

function hide() {
  current = null;
  at("result").hidden = true;
  at("empty").hidden = false;
}

function show(answer, drawn, slice) {
  at("empty").hidden = true;
  at("result").hidden = false;
  at("verdict").className = `verdict ${answer.warning ? "warning" : answer.abstain ? "abstain" : ""}`;
  at("eyebrow").textContent = answer.warning || answer.abstain ? "Careful" : "The network\u2019s answer";
  at("headline").textContent = answer.headline;
  const right = answer.probabilities.some((entry) => entry.name === answer.predicted && entry.spoken === drawn);
  const known = `This sample was drawn as: ${drawn}. The network is ${right ? "right" : "wrong"} here.`;
  const notes = drawn ? [...answer.notes, known] : answer.notes;
  at("notes").replaceChildren(...notes.map((words) => element("p", words)));
  at("bars").replaceChildren(...answer.probabilities.map((entry) => bar(entry, answer.predicted)));
  at("image").src = answer.image;
  at("crop").src = answer.crop;
  at("under").src = answer.crop;
  at("size").textContent = `${answer.size[0]} \u00d7 ${answer.size[1]}`;
  for (const [side, share] of Object.entries(answer.box)) at("box").style[side] = `${100 * share}%`;
  at("volume").hidden = !answer.volume;
  if (slice === null) at("slice").value = "";
  at("class").value = answer.predicted;
  say(`Answer: ${answer.headline}`, true);
  const top = at("result").getBoundingClientRect().top;
  if (top < 0 || top > innerHeight * 0.7) at("result").scrollIntoView({ block: "start" });
  explain();
}

function element(name, words, kind = "") {
  const made = document.createElement(name);
  made.textContent = words;
  made.className = kind;
  return made;
}

function bar({ name, spoken, value, share }, predicted) {
  const line = element("li", "", name === predicted ? "first" : "");
  const track = element("span", "", "track");
  const fill = element("span", "", "fill");
  fill.style.width = `${100 * value}%`;
  track.append(fill);
  line.append(element("span", spoken, "name"), track, element("span", share, "share"));
  return line;
}

async function explain() {
  if (!current) return;
  mapping.abort();
  mapping = new AbortController();
  const { signal } = mapping;
  const [method, target] = [at("method"), at("class")].map((list) => list.selectedOptions[0]);
  at("about-method").textContent = method.dataset.about;
  at("about-map").textContent = "it is being made \u2026";
  at("explained").setAttribute("aria-busy", "true");
  try {
    const response = await post("/map", { method: method.value, class: target.value }, current.crop, signal);
    const url = await dataUrl(await response.blob());
    if (signal.aborted) return;
    at("map").src = url;
    at("map").alt = `Heat map: what speaks for ${target.text}, by ${method.text}`;
    at("about-map").textContent = `what speaks for \u201c${target.text}\u201d, by ${method.text}.`;
  } catch (error) {
    if (signal.aborted) return;
    at("map").removeAttribute("src");
    at("about-map").textContent = error instanceof Problem ? error.message : "it could not be made.";
  } finally {
    if (!signal.aborted) at("explained").removeAttribute("aria-busy");
  }
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

function fade() {
  at("map").style.opacity = at("opacity").value / 100;
  at("percent").textContent = `${at("opacity").value} %`;
}

at("file").addEventListener("change", () => {
  const [file] = at("file").files;
  if (file) ask(() => file);
  at("file").value = ""; // so that the same file can be chosen again
});

for (const button of document.querySelectorAll(".sample")) {
  const find = async (signal) => new File([await (await get(button.dataset.sample, { signal })).blob()], "sample.png");
  button.addEventListener("click", () => ask(find, { drawn: button.dataset.drawn }));
}

// The whole page takes a drop, so that one that misses does not make the browser leave the page.
let inside = 0;
const highlight = () => at("drop").classList.toggle("over", inside > 0);
addEventListener("dragenter", (event) => { event.preventDefault(); inside += 1; highlight(); });
addEventListener("dragleave", () => { inside -= 1; highlight(); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  inside = 0;
  highlight();
  const { files } = event.dataTransfer;
  const [file] = files;
  if (files.length === 1) ask(() => file);
  else complain(files.length ? "Please drop one image at a time." : "That was no file. Save the picture first, then drop the file.");
});

at("volume").addEventListener("submit", (event) => {
  event.preventDefault();
  if (current && at("slice").value !== "") {
    const { file } = current;
    ask(() => file, { slice: Number(at("slice").value) });
  }
});
at("controls").addEventListener("submit", (event) => event.preventDefault());
at("method").addEventListener("change", explain);
at("class").addEventListener("change", explain);
at("opacity").addEventListener("input", fade);
fade();
