"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const { nodes, edges, labels, texts, support } = data;
  const PAGE = 100; // rows of the table at a time
  const NAMED = 60; // up to so many relations, each one's label is drawn
  const number = (value) => value.toLocaleString("en");
  const several = (count, name) => `${number(count)} ${name}${count === 1 ? "" : "s"}`;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const tone = (pair) => pair[dark.matches ? 1 : 0];
  // Any CSS colour as #rrggbb, so that it can be made lighter.
  const pen = document.createElement("canvas").getContext("2d");
  const plain = (color) => {
    pen.fillStyle = color;
    return pen.fillStyle;
  };
  for (const label of labels) label.splice(1, 2, plain(label[1]), plain(label[2]));
  const labelTone = (edge) => tone(labels[edge.label].slice(1));

  // Texts come into the page as text only.
  function make(tag, kind, text) {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    if (text !== undefined) element.textContent = text;
    return element;
  }
  function dot(color) {
    const element = make("span", "dot");
    element.style.background = color;
    return element;
  }

  // What is searched
  const folded = (text) => text.toLocaleLowerCase();
  const names = nodes.map((node) => folded(node[0]));
  const labelNames = labels.map((label) => folded(label[0]));
  let foldedTexts = null;

  const chosen = labels.map(() => true);
  const order = { by: "score", down: true };
  let matching = [];
  let rows = [];
  let page = 0;
  let selectedEdge = null;
  let focus = null;

  function filter() {
    const wanted = folded($("search").value.trim());
    const least = Number($("least").value);
    let inText = null;
    if (wanted) {
      foldedTexts = foldedTexts || texts.map(folded);
      inText = foldedTexts.map((text) => text.includes(wanted));
    }
    const hit = (edge) =>
      names[edge.head].includes(wanted) ||
      names[edge.tail].includes(wanted) ||
      labelNames[edge.label].includes(wanted) ||
      edge.found.some((place) => inText[place.text]);
    matching = edges.filter((edge) => chosen[edge.label] && edge.score >= least && (!wanted || hit(edge)));
    $("least-shown").textContent = least.toFixed(2);
    const count = chosen.filter(Boolean).length;
    $("label-summary").textContent =
      count === labels.length ? "All relations" : `${count} of ${several(labels.length, "relation")}`;
    const what = matching.length === edges.length ? several(edges.length, "relation")
      : `${number(matching.length)} of ${several(edges.length, "relation")}`;
    $("counts").textContent =
      `${what} between ${several(nodes.length, "entity").replace("entitys", "entities")} in ${several(data.docs, "document")}`;
    if (selectedEdge && !matching.includes(selectedEdge)) select(null);
    showTable();
    draw();
  }

  // Table
  const keys = {
    head: (edge) => names[edge.head],
    label: (edge) => labelNames[edge.label],
    tail: (edge) => names[edge.tail],
    score: (edge) => edge.score,
    count: (edge) => edge.found.length,
  };
  const touches = (edge, node) => edge.head === node || edge.tail === node;

  function showTable() {
    rows = focus === null ? matching.slice() : matching.filter((edge) => touches(edge, focus));
    const key = keys[order.by];
    const sign = order.down ? -1 : 1;
    rows.sort((a, b) => {
      const x = key(a);
      const y = key(b);
      return x < y ? -sign : x > y ? sign : b.score - a.score;
    });
    page = 0;
    $("focus").hidden = focus === null;
    if (focus !== null) $("focus").firstElementChild.textContent = `Relations of ${nodes[focus][0]}`;
    showRows();
  }

  function showRows() {
    const first = page * PAGE;
    const shown = rows.slice(first, first + PAGE);
    $("rows").replaceChildren(...shown.map(rowOf));
    $("where").textContent = rows.length
      ? `${number(first + 1)}–${number(first + shown.length)} of ${number(rows.length)}` : "";
    $("before").disabled = page === 0;
    $("after").disabled = first + PAGE >= rows.length;
    $("pages").hidden = rows.length <= PAGE;
    $("nothing").hidden = rows.length > 0;
    $("nothing").textContent = edges.length ? "No relation fits the search and the filters." : noRelations();
  }

  function rowOf(edge) {
    const row = make("tr");
    row.tabIndex = 0;
    row.setAttribute("aria-selected", String(edge === selectedEdge));
    const label = make("td", "label");
    label.append(dot(labelTone(edge)), labels[edge.label][0]);
    row.append(
      named(edge.head), label, named(edge.tail),
      make("td", "number", edge.score.toFixed(2)), make("td", "number count", number(edge.found.length)),
    );
    row.addEventListener("click", () => select(edge));
    row.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        select(edge);
      }
    });
    row.edge = edge;
    return row;
  }

  function named(node) {
    const cell = make("td", "", nodes[node][0]);
    cell.dir = "auto";
    if (nodes[node][1]) cell.title = nodes[node].slice(1).filter(Boolean).join(", ");
    return cell;
  }

  // A relation and what says so
  function select(edge) {
    selectedEdge = edge;
    for (const row of $("rows").children) row.setAttribute("aria-selected", String(row.edge === edge));
    const box = $("details");
    box.hidden = edge === null;
    if (edge !== null) {
      const title = make("h2");
      const label = make("span", "", labels[edge.label][0]);
      label.style.color = labelTone(edge);
      title.append(nodes[edge.head][0], edge.both ? " ↔ " : " — ", label, edge.both ? " ↔ " : " → ", nodes[edge.tail][0]);
      const close = make("button", "close", "×");
      close.type = "button";
      close.setAttribute("aria-label", "Close");
      close.addEventListener("click", () => select(null));
      const most = 30;
      box.replaceChildren(title, close, ...edge.found.slice(0, most).map(placeOf));
      if (edge.found.length > most) box.append(make("p", "more", `And ${several(edge.found.length - most, "more place")}`));
      box.scrollTop = 0;
    }
    refresh();
  }

  function placeOf(place) {
    const box = make("div", "place");
    const text = make("p");
    text.dir = "auto";
    // Offsets count characters, and JavaScript's count halves of emoji.
    const chars = Array.from(texts[place.text]);
    const ends = [...place.head, ...place.tail, 0, chars.length].sort((a, b) => a - b);
    const inside = (span, at) => span[0] <= at && at < span[1];
    ends.slice(0, -1).forEach((start, i) => {
      const part = chars.slice(start, ends[i + 1]).join("");
      if (!part) return;
      const kind = inside(place.head, start) ? "head" : inside(place.tail, start) ? "tail" : "";
      text.append(kind ? make("mark", kind, part) : part);
    });
    box.append(text, make("p", "about", `${place.doc} · score ${place.score.toFixed(2)}`));
    if (place.support >= 0) box.append(...supportOf(support[place.support]));
    return box;
  }

  function supportOf(kept) {
    const parts = [];
    if (kept.sentences) parts.push(listOf("Evidence", kept.sentences.map((sentence) => [sentence, ""])));
    if (kept.examples) {
      const told = (example) => [
        [].concat(example.labels || []).join(", "),
        typeof example.score === "number" ? `similarity ${example.score.toFixed(2)}` : "",
        example.id ? String(example.id) : "",
      ];
      parts.push(listOf(several(kept.examples.length, "example") + " shown",
        kept.examples.map((example) => [String(example.text || ""), told(example).filter(Boolean).join(" · ")])));
    }
    return parts;
  }

  function listOf(title, items) {
    const box = make("details");
    const list = make("ul");
    for (const [text, about] of items) {
      const item = make("li", "", text);
      item.dir = "auto";
      if (about) item.append(make("p", "about", about));
      list.append(item);
    }
    box.append(make("summary", "", title), list);
    return box;
  }

  // Graph
  let graph = null;
  let drawn = { nodes: [], links: [] };
  let ranked = []; // its nodes, those with the most relations first
  let moved = false; // the user has chosen what to see
  let hovered = null;
  const known = new Map(); // nodes stay where they are when the filters change

  const noRelations = () => `There are no relations in ${data.docs === 1 ? "this document" : `these ${several(data.docs, "document")}`}.`;

  function draw() {
    let shown = matching;
    if (shown.length > data.drawn && focus !== null) shown = rows;
    const empty = shown.length === 0;
    const many = shown.length > data.drawn;
    $("message").hidden = !empty && !many;
    $("message").textContent = !edges.length ? noRelations()
      : empty ? "No relation fits the search and the filters."
      : `${several(shown.length, "relation")} are too many to draw. The table has all of them; search or filter until there are ${number(data.drawn)} or fewer to see the graph.`;
    $("types").hidden = empty || many;
    document.querySelector(".tools").hidden = empty || many;
    $("graph").hidden = empty || many;
    $("graph").setAttribute("aria-label", `Graph of ${several(shown.length, "relation")}; the table lists them.`);
    if (empty || many) {
      if (graph) graph.pauseAnimation();
      return;
    }
    const used = new Map();
    const node = (id) => {
      if (!known.has(id)) known.set(id, { id });
      const found = known.get(id);
      if (!used.has(id)) {
        used.set(id, found);
        found.degree = 0;
      }
      found.degree += 1;
      return found;
    };
    const between = new Map();
    const links = shown.map((edge) => {
      const link = { source: node(edge.head), target: node(edge.tail), edge };
      const pair = edge.head < edge.tail ? `${edge.head} ${edge.tail}` : `${edge.tail} ${edge.head}`;
      if (!between.has(pair)) between.set(pair, []);
      between.get(pair).push(link);
      return link;
    });
    for (const group of between.values()) {
      group.forEach((link, i) => {
        // Several relations of a pair fan out, whichever way they go.
        const bend = (i - (group.length - 1) / 2) * 0.25;
        link.bend = link.edge.head === link.edge.tail ? 0.4 + 0.25 * i : link.edge.head < link.edge.tail ? bend : -bend;
      });
    }
    drawn = { nodes: [...used.values()], links };
    ranked = drawn.nodes.slice().sort((a, b) => b.degree - a.degree);
    start();
    graph.resumeAnimation();
    graph.graphData(drawn);
    refresh();
  }

  const radius = (node) => 3 + Math.min(7, Math.sqrt(node.degree));
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let colors = {};
  function readColors() {
    colors = { ink: css("--ink"), card: css("--bg"), line: css("--line"), muted: css("--muted") };
  }

  function dimmed(link) {
    if (selectedEdge !== null) return link.edge !== selectedEdge;
    const node = hovered !== null ? hovered : focus;
    return node !== null && !touches(link.edge, node);
  }
  let near = new Set(); // nodes that are not dimmed
  function refresh() {
    const centre = hovered !== null ? hovered : focus;
    near = new Set();
    if (selectedEdge !== null) near.add(selectedEdge.head).add(selectedEdge.tail);
    else if (centre === null) for (const node of drawn.nodes) near.add(node.id);
    else {
      near.add(centre);
      for (const { edge } of drawn.links) if (touches(edge, centre)) near.add(edge.head).add(edge.tail);
    }
    if (graph) graph.linkColor(graph.linkColor()); // draws again
  }

  function drawNode(node, context, scale) {
    context.globalAlpha = near.has(node.id) ? 1 : 0.15;
    context.beginPath();
    context.arc(node.x, node.y, radius(node), 0, 2 * Math.PI);
    context.fillStyle = tone(data.types[nodes[node.id][1]]);
    context.fill();
    context.lineWidth = 1.5 / scale;
    context.strokeStyle = colors.card;
    context.stroke();
    context.globalAlpha = 1;
  }

  // Names above all that is drawn: those of the largest nodes first, and none over another.
  const FONT = 'system-ui, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';
  const widths = new Map();
  function drawNames(context, scale) {
    const taken = [];
    const write = (text, x, y, font, color, always) => {
      if (!widths.has(font + text)) {
        context.font = `${font}px ${FONT}`;
        widths.set(font + text, context.measureText(text).width);
      }
      // Where there is much, each name has some room around it.
      const room = near.size > 100 ? 14 : 2;
      const half = (widths.get(font + text) / 2 + room) / scale;
      const tall = (7 + room / 2) / scale;
      const box = [x - half, y - tall, x + half, y + tall];
      if (!always && taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) return;
      taken.push(box);
      const [weight, size] = font.split(" ");
      context.font = `${weight} ${size / scale}px ${FONT}`;
      context.lineWidth = 4 / scale;
      context.strokeStyle = colors.card;
      context.strokeText(text, x, y);
      context.fillStyle = color;
      context.fillText(text, x, y);
    };
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    const own = (link) => link.edge === selectedEdge || link === hoveredLink;
    const writeLink = (link, always) => {
      const { x, y } = middleOf(link);
      write(labels[link.edge.label][0], x, y, "600 11", labelTone(link.edge), always);
    };
    for (const link of drawn.links) if (own(link)) writeLink(link, true);
    let count = 0;
    for (const node of ranked) {
      if (!near.has(node.id)) continue;
      if (++count > 250) break;
      const name = nodes[node.id][0];
      const short = name.length > 32 ? `${Array.from(name).slice(0, 31).join("")}…` : name;
      write(short, node.x, node.y + radius(node) + 9 / scale, "500 12", colors.ink, selectedEdge !== null);
    }
    if (drawn.links.length <= NAMED && scale > 0.7)
      for (const link of drawn.links) if (!own(link) && !dimmed(link)) writeLink(link, false);
  }
  let hoveredLink = null;

  function middleOf(link) {
    const { source, target, bend } = link;
    const x = (source.x + target.x) / 2;
    const y = (source.y + target.y) / 2;
    if (source === target) return { x, y: y - 70 * bend };
    // The middle of the curve that force-graph draws.
    return { x: x + ((target.y - source.y) * bend) / 2, y: y - ((target.x - source.x) * bend) / 2 };
  }

  function start() {
    if (graph) return;
    readColors();
    graph = new ForceGraph($("graph"))
      // The library would take names as HTML.
      .nodeLabel(() => "")
      .linkLabel(() => "")
      .nodeVal((node) => radius(node) ** 2 / 16)
      .nodeCanvasObject(drawNode)
      .nodePointerAreaPaint((node, color, context) => {
        context.fillStyle = color;
        context.beginPath();
        context.arc(node.x, node.y, radius(node) + 2, 0, 2 * Math.PI);
        context.fill();
      })
      .linkColor((link) => labelTone(link.edge) + (dimmed(link) ? "1f" : drawn.links.length > 500 ? "70" : "c0"))
      .linkWidth((link) => (link.edge === selectedEdge || link === hoveredLink ? 3 : 1.2))
      .linkCurvature((link) => link.bend)
      .linkHoverPrecision(6)
      .linkDirectionalArrowLength((link) => (link.edge.both ? 0 : drawn.links.length > 500 ? 3 : 5))
      .linkDirectionalArrowRelPos(1)
      .linkDirectionalArrowColor((link) => labelTone(link.edge) + (dimmed(link) ? "1f" : "ff"))
      .onRenderFramePost(drawNames)
      .onLinkClick((link) => select(link.edge))
      .onLinkHover((link) => {
        hoveredLink = link;
        $("graph").style.cursor = link ? "pointer" : "";
      })
      .onNodeHover((node) => {
        hovered = node ? node.id : null;
        refresh();
      })
      .onNodeClick((node) => setFocus(node.id))
      .onBackgroundClick(() => {
        select(null);
        setFocus(null);
      })
      .cooldownTime(6000)
      .d3AlphaDecay(0.03)
      .onEngineTick(() => { if (!moved) fit(0); })
      .onEngineStop(() => { if (!moved) fit(300); });
    graph.d3Force("charge").strength(() => (drawn.links.length <= NAMED ? -150 : -90)).distanceMax(600);
    graph.d3Force("link").distance(() => (drawn.links.length <= NAMED ? 90 : 50));
    // Parts without relations between them stay near each other.
    graph.d3Force("pull", (alpha) => {
      for (const node of drawn.nodes) {
        node.vx -= node.x * 0.06 * alpha;
        node.vy -= node.y * 0.06 * alpha;
      }
    });
    for (const kind of ["wheel", "pointerdown", "touchstart"])
      $("graph").addEventListener(kind, () => { moved = true; }, { passive: true });
    new ResizeObserver(() => {
      graph.width($("picture").clientWidth).height($("picture").clientHeight);
      if (!moved) fit(0);
    }).observe($("picture"));
    graph.width($("picture").clientWidth).height($("picture").clientHeight);
  }

  function fit(time) {
    graph.zoomToFit(time, 60);
    if (graph.zoom() > 2) graph.zoom(2, time);
  }

  function setFocus(node) {
    if (focus === node) return;
    focus = node;
    showTable();
    if (matching.length > data.drawn) draw();
    refresh();
  }

  // What the user does
  const list = labels.map((label, i) => ({ i, count: 0 }));
  for (const edge of edges) list[edge.label].count += 1;
  for (const { i, count } of list.sort((a, b) => b.count - a.count)) {
    const row = make("label");
    row.dataset.label = i;
    const box = make("input");
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => {
      chosen[i] = box.checked;
      filter();
    });
    row.append(box, dot(tone(labels[i].slice(1))), make("span", "name", labels[i][0]), make("span", "count", number(count)));
    $("labels").append(row);
  }
  for (const [id, value] of [["all", true], ["none", false]])
    $(id).addEventListener("click", () => {
      chosen.fill(value);
      for (const box of $("labels").querySelectorAll("input")) box.checked = value;
      filter();
    });
  document.addEventListener("click", (event) => {
    if (!$("label-box").contains(event.target)) $("label-box").open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") $("label-box").open = false;
  });
  let waiting = 0;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  };
  $("search").addEventListener("input", soon);
  $("least").addEventListener("input", soon);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const button of document.querySelectorAll("th button"))
    button.addEventListener("click", () => {
      const by = button.dataset.by;
      order.down = order.by === by ? !order.down : by === "score" || by === "count";
      order.by = by;
      for (const other of document.querySelectorAll("th")) other.setAttribute("aria-sort", "none");
      button.parentElement.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      showTable();
    });
  const turn = (step) => {
    page += step;
    showRows();
    document.querySelector(".scroll").scrollTop = 0;
  };
  $("before").addEventListener("click", () => turn(-1));
  $("after").addEventListener("click", () => turn(1));
  $("focus").lastElementChild.addEventListener("click", () => setFocus(null));
  $("fit").addEventListener("click", () => {
    moved = false;
    fit(300);
  });
  $("closer").addEventListener("click", () => { moved = true; graph.zoom(graph.zoom() * 1.5, 200); });
  $("farther").addEventListener("click", () => { moved = true; graph.zoom(graph.zoom() / 1.5, 200); });
  dark.addEventListener("change", () => {
    readColors();
    showRows();
    showTypes();
    for (const row of $("labels").children) row.querySelector(".dot").style.background = tone(labels[row.dataset.label].slice(1));
    select(selectedEdge);
  });

  for (const id of ["filters", "side"]) $(id).hidden = !edges.length;
  const kinds = Object.entries(data.types).filter(([type]) => type);
  const showTypes = () => $("types").replaceChildren(...kinds.slice(0, 12).map(([type, pair]) => {
    const item = make("li", "", type);
    item.prepend(dot(tone(pair)));
    return item;
  }));
  showTypes();
  filter();
})();
