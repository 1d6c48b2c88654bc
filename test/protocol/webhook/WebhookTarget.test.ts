import { assert, describe, it } from "@effect/vitest"
import * as WebhookTarget from "../../../src/protocol/webhook/WebhookTarget.ts"
import { failure, success } from "../../support/Vectors.ts"

const admits = (url: string, address: string, allowed: ReadonlyArray<string> = []) =>
  success(WebhookTarget.parse(url, allowed)).admits(address)

describe("WebhookTarget", () => {
  it("a literal address is taken at its word, and leads nowhere else", () => {
    assert.isTrue(admits("http://127.0.0.1:9999/hook", "127.0.0.1"))
    assert.isTrue(admits("http://[::1]:80/", "::1"))
    assert.isTrue(admits("http://0x7f.1/", "127.0.0.1"))
    assert.isFalse(admits("http://127.0.0.1:9999/hook", "127.0.0.2"))
    assert.isFalse(admits("http://10.0.0.1/", "8.8.8.8"))
  })

  it("localhost is this host", () => {
    assert.isTrue(admits("http://localhost:80/", "127.0.0.1"))
    assert.isTrue(admits("http://localhost:80/", "::1"))
    assert.isFalse(admits("http://localhost:80/", "10.0.0.1"))
  })

  it("a name leads to the public internet, or where the operator says, whatever it says itself", () => {
    assert.isTrue(admits("https://example.org/", "8.8.8.8"))
    for (const address of ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fd00::1"])
      assert.isFalse(admits("https://example.org/", address), address)
    assert.isTrue(admits("https://example.org/", "10.1.2.3", ["10.0.0.0/8"]))
    assert.isFalse(admits("https://example.org/", "192.168.0.1", ["10.0.0.0/8"]))
  })

  it("refuses what is no such URL, with a sentence (cli §5)", () => {
    assert.strictEqual(failure(WebhookTarget.parse("ftp://x")), "webhook URL must start with http:// or https://")
    assert.strictEqual(failure(WebhookTarget.parse("http://")), "webhook URL is not a URL")
    assert.include(failure(WebhookTarget.parse("http://a:b@c/")), "name or a password")
    assert.include(failure(WebhookTarget.parse("http://c/#x")), "fragment")
    assert.include(failure(WebhookTarget.parse("http://c/", ["ten"])), '"ten"')
    assert.strictEqual(failure(WebhookTarget.parse(`http://c/${"x".repeat(2048)}`)), "webhook URL is not a URL")
  })
})
