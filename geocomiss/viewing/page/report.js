"use strict";
// Draws the map of the element #content. Names that people gave are only ever set as textContent.
(() => {
  const data = JSON.parse(document.getElementById("content").textContent);
  const NOTHING = 255;
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);
  const make = (tag, text, parent, className) => {
    const element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    if (className) element.className = className;
    if (parent) parent.append(element);
    return element;
  };
  const number = (value, digits = 0) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const [west, south, east, north] = data.bounds;
  const corner = (x, y) => L.CRS.EPSG3857.unproject(L.point(x, y));
  const bounds = L.latLngBounds(corner(west, south), corner(east, north));

  const map = L.map("map", { attributionControl: Boolean(data.basemap), zoomSnap: data.zoom === undefined ? 0.25 : 1, maxZoom: 20, minZoom: 1 });
  map.fitBounds(bounds, { padding: [12, 12] });
  map.setMaxBounds(bounds.pad(1.5));
  L.control.scale({ imperial: false, maxWidth: 160 }).addTo(map);
  const arrow = L.control({ position: "topright" });
  arrow.onAdd = () => { const box = make("div", null, null, "north"); make("div", "▲", box); make("div", "N", box); return box; };
  arrow.addTo(map);
  if (data.basemap) L.tileLayer(data.basemap, { maxZoom: 19 }).addTo(map);

  // ---- graticule: about five lines across, at round degrees
  const graticule = L.layerGroup().addTo(map);
  const STEPS = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20];
  const degrees = (value, step, signs) => {
    const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
    return `${Math.abs(value).toFixed(digits)}° ${value < 0 ? signs[1] : signs[0]}`;
  };
  const drawGraticule = () => {
    graticule.clearLayers();
    const view = map.getBounds();
    const step = STEPS.find((each) => (view.getEast() - view.getWest()) / each <= 5.5) || 30;
    const style = { color: "#37424a", weight: 1, opacity: 0.35, interactive: false };
    const label = (lat, lng, text, anchor) => L.marker([lat, lng], { interactive: false, keyboard: false,
      icon: L.divIcon({ className: "degree", html: "", iconSize: null, iconAnchor: anchor }) }).addTo(graticule)
      .getElement().append(text);
    const size = map.getSize();
    const first = (value) => Math.ceil(value / step - 1e-9);
    for (let i = first(view.getWest()); i * step <= view.getEast(); i += 1) {
      L.polyline([[view.getSouth(), i * step], [view.getNorth(), i * step]], style).addTo(graticule);
      const top = map.containerPointToLatLng([0, 4]).lat;
      if (map.latLngToContainerPoint([top, i * step]).x < size.x - 70 && map.latLngToContainerPoint([top, i * step]).x > 50)
        label(top, i * step, degrees(i * step, step, "EW"), [-4, 0]);
    }
    for (let i = first(view.getSouth()); i * step <= view.getNorth(); i += 1) {
      L.polyline([[i * step, view.getWest()], [i * step, view.getEast()]], style).addTo(graticule);
      const point = map.latLngToContainerPoint([i * step, view.getWest()]);
      if (point.y > 90 && point.y < size.y - 45) label(i * step, map.containerPointToLatLng([6, 0]).lng, degrees(i * step, step, "NS"), [0, 18]);
    }
  };
  map.on("moveend resize", drawGraticule);
  drawGraticule();

  // ---- pictures of values, coloured here
  const loadImage = (url) => new Promise((done, fail) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => fail(new Error("a picture of the page is damaged"));
    image.src = url;
  });
  const readValues = async (layer) => {
    const image = await loadImage(layer.url);
    const canvas = document.createElement("canvas");
    canvas.width = image.width;
    canvas.height = image.height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    const values = new Uint8Array(canvas.width * canvas.height);
    for (let i = 0; i < values.length; i += 1) values[i] = pixels[4 * i];
    return values;
  };
  const rgb = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  const spanOf = (layer) => {
    if (layer.span) return layer.span;
    if (!layer.reach) {
      const [width, height] = layer.size;
      let low = NOTHING, high = 0;
      for (const value of layer.values.subarray(0, width * height)) {
        if (value !== NOTHING) { low = Math.min(low, value); high = Math.max(high, value); }
      }
      if (low > high) { low = 0; high = 1; }
      layer.reach = [layer.offset + layer.scale * low, layer.offset + layer.scale * Math.max(high, low + 1)];
    }
    return layer.reach;
  };
  const between = (ramp, share) => {
    const at = Math.min(Math.max(share, 0), 1) * (ramp.length - 1);
    const from = rgb(ramp[Math.floor(at)]), to = rgb(ramp[Math.ceil(at)]);
    return from.map((part, i) => Math.round(part + (to[i] - part) * (at - Math.floor(at))));
  };
  const hidden = new Set();
  const colorsOf = (layer) => {
    const table = new Uint8Array(256 * 4);
    if (layer.look === "classes") {
      for (const each of layer.classes) {
        if (!(layer.name === "crop_type" && hidden.has(each.value))) table.set([...rgb(colorOf(layer, each)), 255], 4 * each.value);
      }
      table[4 * NOTHING + 3] = 0;
    } else {
      const [low, high] = spanOf(layer);
      for (let value = 0; value < NOTHING; value += 1) {
        const share = (layer.offset + layer.scale * value - low) / (high - low);
        table.set([...between(layer.ramp, share), 255], 4 * value);
      }
    }
    return table;
  };
  const colorOf = (layer, entry) => {
    if (layer.name !== "crop_type" || !byId("distinct").checked) return entry.color;
    return data.distinct[layer.classes.indexOf(entry) % data.distinct.length];
  };
  const colored = (layer, values, picture) => {
    const table = new Uint32Array(colorsOf(layer).buffer);
    const out = new Uint32Array(picture.data.buffer);
    for (let i = 0; i < out.length; i += 1) out[i] = table[values[i]];
    return picture;
  };
  const paint = (layer) => new Promise((done) => {
    const [width, height] = layer.size;
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    context.putImageData(colored(layer, layer.values, context.createImageData(width, height)), 0, 0);
    canvas.toBlob((blob) => done(URL.createObjectURL(blob)));
  });

  // ---- tiles of values from the server, coloured here like the pictures
  const warn = (text) => {
    if ([...byId("warnings").children].some((each) => each.textContent === text)) return;
    make("li", text, byId("warnings"));
    byId("warnings-part").hidden = false;
  };
  const readTile = async (blob, canvas, layer) => {
    const image = await createImageBitmap(blob, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
    canvas.width = image.width;
    canvas.height = image.height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    if (layer.look === "rgb") return;
    const { data: pixels } = context.getImageData(0, 0, canvas.width, canvas.height);
    canvas.values = new Uint8Array(canvas.width * canvas.height);
    for (let i = 0; i < canvas.values.length; i += 1) canvas.values[i] = pixels[4 * i + 3] ? pixels[4 * i] : NOTHING;
    recolor(layer, canvas);
  };
  const recolor = (layer, canvas) => {
    if (!canvas.values) return;
    const context = canvas.getContext("2d");
    context.putImageData(colored(layer, canvas.values, context.createImageData(canvas.width, canvas.height)), 0, 0);
  };
  const Tiles = L.GridLayer.extend({
    createTile(at, done) {
      const canvas = document.createElement("canvas"), layer = this.options.layer;
      const stop = new AbortController();
      canvas.stop = () => stop.abort();
      fetch(L.Util.template(layer.tiles, at), { signal: stop.signal })
        .then((answer) => answer.status === 204 ? null : answer.ok ? answer.blob() : Promise.reject(new Error(`status ${answer.status}`)))
        .then((blob) => blob && readTile(blob, canvas, layer))
        .then(() => done(null, canvas))
        .catch((error) => {
          if (error.name !== "AbortError") warn(`not shown: a part of ${layer.title} (${error.message})`);
          done(error, canvas);
        });
      return canvas;
    },
    recolor() { for (const tile of Object.values(this._tiles)) recolor(this.options.layer, tile.el); },
  });
  const tilesOf = (layer) => new Tiles({ layer, bounds, maxNativeZoom: data.zoom, maxZoom: 20, zIndex: 2,
    opacity: byId("opacity").value / 100, className: layer.look === "rgb" ? "overlay smooth" : "overlay" })
    .on("tileunload", (event) => event.tile.stop());

  // ---- layers
  const shown = data.layers.filter((each) => each.name !== "ndvi");
  const curve = data.layers.find((each) => each.name === "ndvi");
  let overlay = null, current = null, turn = 0;
  const show = async (layer) => {
    const mine = ++turn;
    if (layer.tiles) {
      if (overlay) overlay.remove();
      overlay = tilesOf(layer).addTo(map);
      return switched(layer);
    }
    if (layer.look !== "rgb" && !layer.values) layer.values = await readValues(layer);
    const url = layer.look === "rgb" ? layer.url : await paint(layer);
    if (mine !== turn) return;  // another layer was asked for meanwhile
    const before = overlay;
    overlay = L.imageOverlay(url, bounds, { opacity: byId("opacity").value / 100, alt: layer.title,
      className: layer.look === "rgb" ? "overlay smooth" : "overlay" }).addTo(map);
    overlay.once("load", () => { if (before) { before.remove(); if (before._url.startsWith("blob:")) URL.revokeObjectURL(before._url); } });
    return switched(layer);
  };
  const switched = (layer) => {
    current = layer;
    drawLegend();
    document.body.dataset.layer = layer.name;
  };
  shown.forEach((layer, i) => {
    const label = make("label", null, byId("layers"));
    const button = make("input", null, label);
    button.type = "radio";
    button.name = "layer";
    button.value = layer.name;
    button.checked = i === 0;
    button.addEventListener("change", () => show(layer));
    make("span", layer.title + (layer.bands.length > 1 && layer.look === "ramp" ? ` (${layer.bands[0]})` : ""), label);
  });
  byId("opacity").addEventListener("input", (event) => {
    byId("opacity-told").textContent = `${event.target.value} %`;
    if (overlay) overlay.setOpacity(event.target.value / 100);
  });
  byId("distinct").addEventListener("change", () => show(current));

  // ---- legend, areas and their bars
  const total = data.areas.reduce((sum, each) => sum + each.ha, 0);
  const told = (layer, value) => layer.percent ? `${Math.round(100 * value)} %` : number(value, Math.abs(value) < 10 && value % 1 ? 2 : 0);
  const drawLegend = () => {
    const box = byId("legend");
    box.replaceChildren();
    byId("legend-title").textContent = current.title;
    byId("distinct-row").hidden = current.name !== "crop_type";
    if (current.name === "crop_type") return drawAreas(box);
    if (current.look === "classes") {
      for (const each of current.classes) {
        const row = make("p", null, box, "name");
        make("span", null, row, "swatch").style.background = each.color;
        row.style.gridTemplateColumns = "auto minmax(0, 1fr)";
        make("span", each.name, row);
      }
    } else if (current.look === "ramp") {
      const [low, high] = spanOf(current);
      make("div", null, box, "ramp").style.background = `linear-gradient(to right, ${current.ramp.join(", ")})`;
      const ends = make("div", null, box, "ends");
      const stops = high - low < 2 && !current.percent ? [low, high] : [low, (low + high) / 2, high];
      for (const value of stops) make("span", told(current, value), ends);
    } else make("p", "What a satellite saw: the median of the clear images of the season.", box, "quiet");
    return null;
  };
  const drawAreas = (box) => {
    const most = Math.max(...data.areas.map((each) => each.ha), 1e-9);
    const table = make("table", null, box);
    const head = make("tr", null, make("thead", null, table));
    for (const text of ["class", "hectares", "%"]) make("th", text, head).scope = "col";
    const body = make("tbody", null, table);
    for (const each of data.areas) {
      const entry = current.classes.find((one) => one.value === each.value) || each;
      const row = make("tr", null, body);
      const cell = make("td", null, row);
      const label = make("label", null, cell, "name");
      const box2 = make("input", null, label);
      box2.type = "checkbox";
      box2.checked = !hidden.has(each.value);
      box2.addEventListener("change", () => { (box2.checked ? hidden.delete(each.value) : hidden.add(each.value)); repaint(); });
      const color = colorOf(current, entry);
      make("span", null, label, "swatch").style.background = color;
      make("span", each.name, label).title = each.name;
      const bar = make("i", null, make("div", null, cell, "bar"));
      bar.style.width = `${100 * each.ha / most}%`;
      bar.style.background = color;
      make("td", number(each.ha, total < 1000 ? 1 : 0), row);
      make("td", total ? number(100 * each.ha / total, 1) : "–", row);
    }
    make("caption", `${number(total, total < 1000 ? 1 : 0)} ha in all; ${data.areaNote}`, table);
  };
  const repaint = async () => { if (current.tiles) overlay.recolor(); else overlay.setUrl(await paint(current)); };

  // ---- small charts
  const svg = (tag, attributes, parent, text) => {
    const element = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };
  const MONTHS = "JFMAMJJASOND";
  const monthOf = (day) => { const date = new Date(`${day}T00:00:00Z`); date.setUTCDate(date.getUTCDate() + 15); return MONTHS[date.getUTCMonth()]; };
  const drawObservations = () => {
    const { steps, ...series } = data.observations;
    const names = Object.keys(series).filter((name) => Array.isArray(series[name]) && series[name].length);
    if (!Array.isArray(steps) || !names.length) return byId("observations-part").remove();
    const wide = 330, high = 62, left = 26;
    const chart = svg("svg", { viewBox: `0 0 ${wide} ${names.length * (high + 44)}`, role: "img",
      "aria-label": names.map((name) => `${name}: ${series[name].map((each) => number(each, 1)).join(", ")}`).join("; ") }, byId("observations"));
    names.forEach((name, row) => {
      const top = row * (high + 44) + 24, most = Math.max(...series[name], 1), slot = (wide - left) / steps.length;
      svg("text", { x: 0, y: top - 13, class: "head" }, chart, name);
      for (const value of [0, most]) {
        const y = top + high * (1 - value / most);
        svg("line", { x1: left, x2: wide, y1: y, y2: y, stroke: "#d9dee0" }, chart);
        svg("text", { x: left - 4, y: y + 4, "text-anchor": "end" }, chart, number(value, most < 10 && value ? 1 : 0));
      }
      series[name].forEach((value, i) => {
        svg("rect", { x: left + i * slot + 1.5, width: Math.max(slot - 3, 1), y: top + high * (1 - value / most), height: high * value / most,
          fill: row ? "#0072b2" : "#e69f00" }, chart).append(svg("title", {}, null, `${steps[i]}: ${number(value, 2)}`));
        if (steps.length <= 18 || i % 2 === 0) svg("text", { x: left + (i + 0.5) * slot, y: top + high + 13, "text-anchor": "middle" }, chart, monthOf(steps[i]));
      });
    });
    return null;
  };
  const drawCurve = (box, values, steps) => {
    const wide = 330, high = 92, left = 26, top = 26;
    const chart = svg("svg", { viewBox: `0 0 ${wide} ${high + 44}`, role: "img", id: "curve",
      "aria-label": `NDVI: ${values.map((each) => each === null ? "no clear image" : each.toFixed(2)).join(", ")}` }, box);
    svg("text", { x: 0, y: 12, class: "head" }, chart, "NDVI");
    const x = (i) => left + (i + 0.5) * (wide - left) / values.length;
    const y = (value) => top + high * (1 - Math.max(value, -0.1) / 1);
    for (const value of [0, 0.5, 1]) {
      svg("line", { x1: left, x2: wide, y1: y(value), y2: y(value), stroke: "#d9dee0" }, chart);
      svg("text", { x: left - 4, y: y(value) + 4, "text-anchor": "end" }, chart, value);
    }
    values.forEach((value, i) => {
      if (values.length <= 18 || i % 2 === 0) svg("text", { x: x(i), y: top + high + 15, "text-anchor": "middle" }, chart, monthOf(steps[i]));
      if (value === null) return;
      const next = values.findIndex((each, j) => j > i && each !== null);
      if (next > 0) svg("line", { x1: x(i), y1: y(value), x2: x(next), y2: y(values[next]), stroke: "#01665e", "stroke-width": 2,
        "stroke-dasharray": next === i + 1 ? "" : "4 4" }, chart);
      svg("circle", { cx: x(i), cy: y(value), r: 3.5, fill: "#01665e" }, chart).append(svg("title", {}, null, `${steps[i]}: ${value.toFixed(2)}`));
    });
  };

  // ---- what lies at a place
  const pixel = (layer, point) => {
    const [width, height] = layer.size;
    const col = Math.floor((point.x - west) / (east - west) * width), row = Math.floor((north - point.y) / (north - south) * height);
    return col < 0 || row < 0 || col >= width || row >= height ? null : row * width + col;
  };
  const valuesAt = async (layer, latlng) => {  // a true value a band, null where there is none
    if (layer.place) {
      const answer = await fetch(L.Util.template(layer.place, latlng.wrap()));
      if (answer.status === 204) return layer.bands.map(() => null);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      return (await answer.json()).values.map((value) => value === null ? null : layer.offset + layer.stored * value);
    }
    if (!layer.values) layer.values = await readValues(layer);
    const at = pixel(layer, L.CRS.EPSG3857.project(latlng)), size = layer.size[0] * layer.size[1];
    return layer.bands.map((_, band) => at === null ? NOTHING : layer.values[band * size + at])
      .map((value) => value === NOTHING ? null : layer.offset + layer.scale * value);
  };
  let asked = 0;
  const marker = L.circleMarker([0, 0], { radius: 7, color: "#000", weight: 2, fill: false, interactive: false });
  const ask = async (latlng) => {
    const box = byId("told"), mine = ++asked;
    const wanted = data.layers.filter((each) => each.look !== "rgb");
    marker.setLatLng(latlng).addTo(map);
    const found = await Promise.all(wanted.map((layer) => valuesAt(layer, latlng).catch(() => undefined)));
    if (mine !== asked) return;  // another place was asked for meanwhile
    box.replaceChildren();
    const list = make("dl", null, box);
    const say = (key, text) => { make("dt", key, list); make("dd", text, list); };
    wanted.forEach((layer, i) => {
      const values = found[i];
      if (layer === curve) return;
      if (!values) say(layer.title, "cannot be read");
      else if (layer.look === "classes") {
        const entry = layer.classes.find((each) => each.value === values[0]);
        say(layer.title, entry ? entry.name : layer.name === "crop_type" ? "no class" : "none");
      } else if (values[0] === null) say(layer.title, "none");
      else say(layer.title, values.map((value, band) => (layer.bands.length > 1 ? `${layer.bands[band]} ` : "") + (value === null ? "none" : told(layer, value))).join(", "));
    });
    say("Place", `${latlng.lat.toFixed(5)}, ${latlng.lng.toFixed(5)}`);
    if (!curve) return;
    const series = found[wanted.indexOf(curve)] || [];
    if (series.some((value) => value !== null)) drawCurve(box, series, curve.bands);
    else make("p", "No NDVI here: no clear optical image of the pixels kept for curves.", box, "quiet");
  };
  for (const [event, keys] of [["keydown", true], ["pointerdown", false]])
    document.addEventListener(event, () => byId("place").classList.toggle("keys", keys), true);
  map.on("click", (event) => ask(event.latlng));
  byId("map").addEventListener("keydown", (event) => { if (event.key === "Enter") ask(map.getCenter()); });

  // ---- words
  byId("title").textContent = data.title;
  if (data.label) { byId("label").textContent = data.label; byId("label").hidden = false; }
  for (const [key, value] of data.facts) { make("dt", key, byId("facts")); make("dd", value, byId("facts")); }
  for (const text of data.notes) make("li", text, byId("notes"));
  for (const text of [...data.warnings, ...data.missing.map((each) => `not shown: ${each}`)]) make("li", text, byId("warnings"));
  byId("warnings-part").hidden = !byId("warnings").children.length;
  drawObservations();
  show(shown[0]).then(() => { document.body.dataset.ready = "yes"; });
})();
