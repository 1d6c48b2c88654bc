import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as UpnpMessage from "../../../src/protocol/wire/UpnpMessage.ts"
import * as Upnp from "../../support/UpnpRouter.ts"

const HOST = "192.168.1.1"
const BASE = new URL(`http://${HOST}:5000/rootDesc.xml`)

const answer = (location: string, status = "200 OK") =>
  Bytes.fromUtf8(`HTTP/1.1 ${status}\r\nCACHE-CONTROL: max-age=120\r\nlocation: ${location}\r\n\r\n`)

describe("UpnpMessage", () => {
  it("finds the description in an answer to a search, at the host that was asked and nowhere else", () => {
    assert.strictEqual(UpnpMessage.location(answer(BASE.href), HOST)?.href, BASE.href)
    for (const other of [
      answer("http://192.168.1.9:5000/rootDesc.xml"),
      answer("http://169.254.169.254/latest/meta-data"),
      answer("http://user:secret@192.168.1.1/"),
      answer("https://192.168.1.1/"),
      answer("file:///etc/passwd"),
      answer("/rootDesc.xml"),
      answer(BASE.href, "404 Not Found"),
      answer(`http://${HOST}/${"x".repeat(3_000)}`),
      Bytes.fromUtf8("NOTIFY * HTTP/1.1\r\nLOCATION: http://192.168.1.1/\r\n\r\n"),
      Uint8Array.of(0xff, 0xfe, 0),
      Bytes.empty
    ])
      assert.isUndefined(UpnpMessage.location(other, HOST))
  })

  it("takes the best connection of a description, its control URL relative to where that was", () => {
    const both = Upnp.description([
      ["WANPPPConnection:1", "/ctl/ppp"],
      ["WANIPConnection:1", "ctl/ip"]
    ])

    const found = UpnpMessage.wanConnection(both, BASE)

    assert.strictEqual(found?.type, "urn:schemas-upnp-org:service:WANIPConnection:1")
    assert.strictEqual(found?.control.href, `http://${HOST}:5000/ctl/ip`)
  })

  it("knows no connection whose control is elsewhere, whose type is another, or whose elements do not end", () => {
    for (const text of [
      Upnp.description([["WANIPConnection:1", "http://192.168.1.9/ctl"]]),
      Upnp.description([["WANIPConnection:1", "//evil.example/ctl"]]),
      Upnp.description([["Layer3Forwarding:1", "/ctl"]]),
      Upnp.description([['WANIPConnection:1"><x', "/ctl"]]),
      `<URLBase>http://192.168.1.9/</URLBase>${Upnp.description([["WANIPConnection:1", "http://192.168.1.9/x"]])}`,
      "<service>".repeat(7_000),
      "<service><serviceType>".repeat(3_000),
      ""
    ])
      assert.isUndefined(UpnpMessage.wanConnection(text, BASE))
  })

  it.prop("reads any text without throwing", { text: Upnp.xmlLike }, ({ text }) => {
    const hosts = [
      UpnpMessage.wanConnection(text, BASE)?.control.hostname,
      UpnpMessage.location(Bytes.fromUtf8(text), HOST)?.hostname
    ]
    const numbers = [UpnpMessage.reservedPort(text), UpnpMessage.errorCode(text)]

    assert.isTrue(hosts.every((host) => host === undefined || host === HOST))
    assert.isTrue(numbers.every((value) => value === undefined || (value >= 0 && value <= 99_999)))
    assert.isTrue([undefined, "11.22.33.44"].includes(UpnpMessage.externalHost(text)))
  })
})
