import { assert, describe, it } from "@effect/vitest"
import * as NetcheckText from "../../src/cli/path/NetcheckText.ts"

const line = (data: Parameters<typeof NetcheckText.netcheck>[0], name: string): string | undefined =>
  NetcheckText.netcheck(data)
    .split("\n")
    .find((text) => text.startsWith(`${name}:`))

describe("NetcheckText", () => {
  it("says of a beacon that is silent no more than that", () => {
    const beacon = (rtt_ms: number | null) => ({ beacons: [{ endpoint: "203.0.113.1:9001", rtt_ms, probes: false }] })

    assert.strictEqual(line(beacon(null), "Beacon"), "Beacon:     203.0.113.1:9001  no answer")
    assert.include(line(beacon(31.2), "Beacon"), "31.2 ms  (only says where it sees us)")
  })

  it("says which port the router gave, or why it gave none", () => {
    const port_mapping = { protocol: "upnp", external: "203.0.113.7:4000" }

    assert.strictEqual(
      line({ port_mapping, port_map_detail: null }, "Port map"),
      "Port map:   203.0.113.7:4000 by upnp"
    )
    assert.strictEqual(line({ port_mapping: null, port_map_detail: null }, "Port map"), "Port map:   none")
    assert.strictEqual(
      line({ port_mapping: null, port_map_detail: "it does not answer in time" }, "Port map"),
      "Port map:   none (the router by UPnP: it does not answer in time)"
    )
  })

  it("says how often ports were guessed, once they were", () => {
    const birthdays = { tries: 3, hits: 2, refused: 0 }

    assert.strictEqual(line({ birthdays }, "Guessing"), "Guessing:   3 tries to guess ports, 2 found a path")
    assert.include(line({ birthdays: { ...birthdays, refused: 1 } }, "Guessing"), "1 without sockets of this host")
    assert.isUndefined(line({ birthdays: { ...birthdays, tries: 0 } }, "Guessing"))
    assert.isUndefined(line({ birthdays: null }, "Guessing"))
    assert.strictEqual(line({ turned_off: ["port mapping"] }, "Turned off"), "Turned off: port mapping")
    assert.isUndefined(line({ turned_off: [] }, "Turned off"))
  })
})
