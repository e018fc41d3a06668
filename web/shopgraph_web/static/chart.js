// Draws every [data-chart]: order lines by week, from the address it names.
"use strict";

async function draw(element) {
  const answer = await fetch(element.dataset.chart);
  if (!answer.ok) {
    element.textContent = "The weeks could not be counted just now.";
    return;
  }
  const { weeks, lines } = await answer.json();
  if (!weeks.length) {
    element.textContent = "No purchases yet.";
    return;
  }
  const chart = echarts.init(element, null, { renderer: "svg" });
  chart.setOption({
    animation: false,
    grid: { left: 8, right: 8, top: 16, bottom: 8, containLabel: true },
    tooltip: { trigger: "axis", renderMode: "richText", formatter: ([point]) => `week from ${point.name}\n${point.value.toLocaleString("en")} order lines` },
    xAxis: { type: "category", data: weeks, axisTick: { show: false }, axisLine: { lineStyle: { color: "#c8d3e1" } }, axisLabel: { color: "#667382" } },
    yAxis: { type: "value", splitLine: { lineStyle: { color: "#e6ebf1" } }, axisLabel: { color: "#667382", formatter: (value) => value.toLocaleString("en") } },
    series: [{ type: "bar", data: lines, itemStyle: { color: "#206bc4", borderRadius: [3, 3, 0, 0] }, barCategoryGap: "25%" }],
  });
  window.addEventListener("resize", () => chart.resize());
  element.dataset.drawn = weeks.length;
}

document.querySelectorAll("[data-chart]").forEach(draw);
