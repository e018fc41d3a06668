// Draws the neighbourhood of one node and grows it from whichever node is clicked.
"use strict";

const COLOURS = { Product: "#206bc4", User: "#ae3ec9", Brand: "#f76707", Author: "#d6336c", Category: "#2fb344", Attribute: "#f59f00", SearchTerm: "#17a2b8" };

const STYLE = [
  { selector: "node", style: { label: "data(title)", "background-color": (node) => COLOURS[node.data("label")] || "#667382", width: 24, height: 24, "font-size": 12, color: "#1d273b", "text-wrap": "ellipsis", "text-max-width": 130, "text-valign": "bottom", "text-margin-y": 4, "text-background-color": "#fff", "text-background-opacity": 0.75, "text-background-padding": 1 } },
  { selector: "node.grown", style: { width: 36, height: 36, "font-size": 14, "font-weight": "bold", "border-width": 3, "border-color": "#fff" } },
  { selector: "node:selected", style: { "border-width": 3, "border-color": "#1d273b" } },
  { selector: "edge", style: { width: 1.5, "line-color": "#b6c2d2", "curve-style": "bezier", "target-arrow-shape": "triangle", "target-arrow-color": "#b6c2d2", "arrow-scale": 0.8 } },
  { selector: "edge.near", style: { label: "data(type)", "font-size": 8, color: "#667382", "text-rotation": "autorotate", "text-background-color": "#fff", "text-background-opacity": 0.8 } },
];

// The window is wider than high, and so are titles: rings are drawn wider than high too.
const WIDER = 1.7;

// More labels than this around one node hide what they name.
const LABELLED_MAX = 12;

const drawing = document.getElementById("drawing");
const said = document.getElementById("said");
const open = document.getElementById("open");

function key(label, id) {
  return `${label}\u0000${id}`;
}

function elements({ nodes, edges }) {
  return [
    ...nodes.map((node) => ({ group: "nodes", data: { id: key(node.label, node.id), label: node.label, own: node.id, title: node.title || node.id } })),
    ...edges.map((edge) => ({ group: "edges", data: { id: edge.id || `${edge.type}\u0000${edge.source}\u0000${edge.target}`, source: edge.source, target: edge.target, type: edge.type } })),
  ];
}

// The first node stands in the middle of two rings; one grown later moves outside all that is drawn, its own around it.
function place(graph, grown, nodes) {
  const around = nodes.filter((node) => grown.empty() || node.data.id !== grown.id());
  if (grown.empty()) {
    around.shift().position = { x: 0, y: 0 };
    ring({ x: 0, y: 0 }, around, Math.max(170, 9 * around.length));
  } else if (around.length) {
    const radius = Math.max(90, 7 * around.length);
    const reach = Math.max(...graph.nodes().map((node) => Math.hypot(node.position("x") / WIDER, node.position("y"))));
    const angle = Math.atan2(grown.position("y"), grown.position("x") / WIDER);
    const middle = { x: WIDER * (reach + radius + 60) * Math.cos(angle), y: (reach + radius + 60) * Math.sin(angle) };
    grown.position(middle);
    ring(middle, around, radius);
  }
}

function ring(middle, nodes, radius) {
  nodes.sort((a, b) => a.data.label.localeCompare(b.data.label));
  nodes.forEach((node, number) => {
    const angle = (2 * Math.PI * number) / nodes.length;
    const own = nodes.length > 10 && number % 2 ? 0.65 * radius : radius;
    node.position = { x: middle.x + WIDER * own * Math.cos(angle), y: middle.y + own * Math.sin(angle) };
  });
}

async function grow(graph, label, id) {
  said.textContent = "Looking around it…";
  const answer = await fetch(`${drawing.dataset.around}?${new URLSearchParams({ label, id })}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) {
    said.textContent = answer.status === 404 ? `No ${label} has the id ${id}.` : "The neighbourhood could not be read just now.";
    return;
  }
  const before = graph.nodes().length;
  const fresh = elements(await answer.json()).filter((element) => graph.getElementById(element.data.id).empty());
  place(graph, graph.getElementById(key(label, id)), fresh.filter((element) => element.group === "nodes"));
  graph.add(fresh);
  graph.getElementById(key(label, id)).addClass("grown");
  graph.fit(undefined, 50);
  const added = graph.nodes().length - before;
  said.textContent = added ? `${graph.nodes().length} nodes, ${graph.edges().length} relations. Click a node to grow it.` : "Nothing more around it.";
  drawing.dataset.nodes = graph.nodes().length;
  legend(graph);
}

function legend(graph) {
  const labels = new Set(graph.nodes().map((node) => node.data("label")));
  document.getElementById("legend").replaceChildren(
    ...Object.keys(COLOURS).filter((label) => labels.has(label)).map((label) => {
      const entry = document.createElement("span");
      const dot = document.createElement("i");
      dot.className = label.toLowerCase();
      entry.append(dot, label);
      return entry;
    }),
  );
}

function choose(graph, node) {
  graph.edges().removeClass("near");
  const edges = node.connectedEdges();
  if (edges.length <= LABELLED_MAX) edges.addClass("near");
  open.href = `${drawing.dataset.page.replace("LABEL", encodeURIComponent(node.data("label")))}?${new URLSearchParams({ id: node.data("own") })}`;
  open.classList.remove("d-none");
}

if (drawing) {
  const graph = cytoscape({ container: drawing, style: STYLE, layout: { name: "preset" }, maxZoom: 2 });
  graph.on("tap", "node", (event) => {
    choose(graph, event.target);
    grow(graph, event.target.data("label"), event.target.data("own"));
  });
  grow(graph, drawing.dataset.label, drawing.dataset.id).then(() => {
    const centre = graph.getElementById(key(drawing.dataset.label, drawing.dataset.id));
    if (centre.nonempty()) choose(graph, centre);
  });
  window.shopgraphDrawing = graph;
}
