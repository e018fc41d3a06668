// Draws every [data-intervals]: shares with their intervals, from the address it names.
"use strict";

const percent = (value) => `${(100 * value).toFixed(2)} %`;

async function drawIntervals(element) {
  const answer = await fetch(element.dataset.intervals);
  if (!answer.ok) {
    element.textContent = "The shares could not be counted just now.";
    return;
  }
  const { rows } = await answer.json();
  const names = rows.map((row) => row.name);
  const chart = echarts.init(element, null, { renderer: "svg" });
  const ranges = rows.map((row) => ({
    type: "line", symbol: "none", lineStyle: { color: "#206bc4", width: 2 }, silent: true,
    data: [[row.low, row.name], [row.high, row.name]],
  }));
  chart.setOption({
    animation: false,
    grid: { left: 8, right: 24, top: 8, bottom: 8, containLabel: true },
    tooltip: { renderMode: "richText", formatter: ({ dataIndex }) => `${names[dataIndex]}\n${percent(rows[dataIndex].value)} (${percent(rows[dataIndex].low)} to ${percent(rows[dataIndex].high)})` },
    xAxis: { type: "value", min: 0, splitLine: { lineStyle: { color: "#e6ebf1" } }, axisLabel: { color: "#667382", formatter: (value) => `${+(100 * value).toFixed(2)} %` } },
    yAxis: { type: "category", data: names, inverse: true, axisTick: { show: false }, axisLine: { lineStyle: { color: "#c8d3e1" } }, axisLabel: { color: "#667382" } },
    series: [...ranges, { type: "scatter", symbolSize: 9, itemStyle: { color: "#206bc4" }, data: rows.map((row) => [row.value, row.name]) }],
  });
  window.addEventListener("resize", () => chart.resize());
  element.dataset.drawn = rows.length;
}

document.querySelectorAll("[data-intervals]").forEach(drawIntervals);
