// <lb-chart>: an ECharts option as JSON in a child <script type="application/json">, drawn in the page's own colours.
import { BarChart, HeatmapChart, LineChart } from "echarts/charts";
import { AriaComponent, GridComponent, LegendComponent, TooltipComponent, VisualMapComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

echarts.use([BarChart, HeatmapChart, LineChart, AriaComponent, GridComponent, LegendComponent, TooltipComponent, VisualMapComponent, SVGRenderer]);

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function themed(option) {
  const text = colour("--text-secondary");
  const axis = (extra) => ({
    axisLine: { lineStyle: { color: colour("--chart-grid") } },
    axisTick: { show: false },
    axisLabel: { color: text, fontFamily: "inherit", hideOverlap: true },
    splitLine: { lineStyle: { color: colour("--chart-grid") } },
    nameTextStyle: { color: text },
    ...extra,
  });
  const each = (axes, extra) => (Array.isArray(axes) ? axes : axes ? [axes] : []).map((one) => ({ ...axis(extra), ...one }));
  const map = option.visualMap && {
    textStyle: { color: text },
    inRange: { color: [colour("--heat-low"), colour("--heat-mid"), colour("--heat-high")] },
    ...option.visualMap,
  };
  return {
    animationDuration: 250,
    color: [1, 2, 3, 4, 5, 6, 7, 8].map((slot) => colour(`--chart-${slot}`)),
    textStyle: { fontFamily: "'Open Sans', sans-serif", color: text },
    aria: { enabled: true, decal: { show: false } },
    ...option,
    legend: option.legend && { textStyle: { color: text }, icon: "roundRect", itemHeight: 8, itemWidth: 14, ...option.legend },
    tooltip: {
      backgroundColor: colour("--surface-raised"),
      borderColor: colour("--border"),
      textStyle: { color: colour("--text"), fontFamily: "inherit", fontSize: 12 },
      confine: true,
      ...option.tooltip,
    },
    xAxis: each(option.xAxis, option.series?.[0]?.type === "heatmap" ? { splitLine: { show: false } } : {}),
    yAxis: each(option.yAxis, {}),
    visualMap: map || undefined,
  };
}

class Chart extends HTMLElement {
  connectedCallback() {
    // echarts.init empties its element, so the option is read first and drawn into a child.
    this.option = JSON.parse(this.querySelector("script").textContent);
    this.canvas = document.createElement("div");
    this.canvas.className = "chart-canvas";
    this.append(this.canvas);
    this.draw();
    new ResizeObserver(() => this.chart?.resize()).observe(this.canvas);
    document.addEventListener("lb-theme", () => this.draw());
  }
  draw() {
    this.chart?.dispose();
    this.chart = echarts.init(this.canvas, null, { renderer: "svg" });
    this.chart.setOption(themed(this.option));
    this.dataset.drawn = "true";
  }
}
customElements.define("lb-chart", Chart);
