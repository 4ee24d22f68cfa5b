// <lb-mqtt>: an MQTT client of this page over WebSocket, as any device's; it shows what comes and publishes what is written.
// `src` answers the signed address to connect to. At most two hundred messages are kept, the newest on top.
import mqtt from "mqtt/dist/mqtt.esm";

class Client extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form[data-subscribe]");
    this.pill = this.querySelector(".pill");
    this.body = this.querySelector("tbody");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.client) this.stop();
      else this.start(this.form.elements.filter.value);
    });
    this.dataset.ready = "true";
  }
  disconnectedCallback() {
    this.stop();
  }
  async start(filter) {
    this.say("Stop", "off", "");
    try {
      const answer = await fetch(this.getAttribute("src"));
      if (!answer.ok) throw new Error(await answer.text());
      const { url } = await answer.json();
      const clientId = `console-${crypto.randomUUID()}`;
      this.client = mqtt.connect(url, { clientId, protocolVersion: 4, reconnectPeriod: 0, connectTimeout: 10_000, timerVariant: "native" });
    } catch (failure) {
      return this.say("Subscribe", "lost", String(failure.message));
    }
    this.querySelector(".scroll").hidden = false;
    this.client.on("connect", () =>
      this.client.subscribe(filter, { qos: 1 }, (failure, granted) => {
        if (failure || granted?.[0]?.qos > 2) this.stop("This topic filter is refused.");
        else this.say("Stop", "live", "");
      }),
    );
    this.client.on("message", (topic, payload, packet) => this.show(topic, payload, packet));
    this.client.on("error", (failure) => this.stop(String(failure.message)));
    this.client.on("close", () => this.client && this.stop("The connection has ended."));
  }
  stop(why = "") {
    const client = this.client;
    this.client = undefined;
    client?.end(true);
    this.say("Subscribe", why ? "lost" : "off", why);
  }
  say(label, state, why) {
    this.form.querySelector("button").textContent = label;
    this.pill.dataset.state = state;
    this.querySelector("[role=status]").textContent = why;
  }
  show(topic, payload, packet) {
    const row = this.body.insertRow(0);
    const text = new TextDecoder().decode(payload);
    const flags = `QoS ${packet.qos}${packet.retain ? ", retained" : ""}`;
    for (const cell of [new Date().toLocaleTimeString(), topic, text.slice(0, 4000), flags]) row.insertCell().textContent = cell;
    while (this.body.rows.length > 200) this.body.deleteRow(-1);
  }
}
customElements.define("lb-mqtt", Client);
