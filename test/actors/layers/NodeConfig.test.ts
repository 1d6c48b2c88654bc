import { assert, describe, it } from "@effect/vitest"
import { Duration, Result, Schema } from "effect"
import * as NodeConfig from "../../../src/actors/layers/NodeConfig.ts"

const PLACES = { home: "/h", socket: "/h/pilot.sock" }
const FINGERPRINT = "ab".repeat(32)
const commandLine = (values: Readonly<Record<string, unknown>>): NodeConfig.Source => ({ name: "command line", values })
const file = (values: Readonly<Record<string, unknown>>): NodeConfig.Source => ({ name: "/h/config.json", values })

const resolved = (...sources: ReadonlyArray<NodeConfig.Source>) =>
  Result.getOrThrow(NodeConfig.resolve(sources, PLACES))
const refused = (...sources: ReadonlyArray<NodeConfig.Source>) =>
  Result.getOrThrow(Result.flip(NodeConfig.resolve(sources, PLACES)))

describe("NodeConfig", () => {
  it("needs nothing, and names no third party (architecture, decision 8)", () => {
    const config = resolved()

    assert.strictEqual(config.registry, "127.0.0.1:9000")
    assert.strictEqual(config.beacon, "127.0.0.1:9001")
    assert.strictEqual(config.identity, "/h/identity.key")
    assert.strictEqual(config.socket, "/h/pilot.sock")
    assert.isTrue(config.encrypt)
    assert.isFalse(config.registryPlaintext)
    assert.strictEqual(Duration.toMillis(config.keepalive), 30_000)
  })

  it("command line before environment before file before default (cli §1.3, better)", () => {
    const environment = NodeConfig.environment({ PILOT_REGISTRY: "env:1", PILOT_BEACON: "env:2", PILOT_SOCKET: "" })
    const config = resolved(
      commandLine({ registry: "cmd:1" }),
      environment,
      file({ registry: "f:1", beacon: "f:2", owner: "f" })
    )

    assert.deepStrictEqual(
      [config.registry, config.beacon, config.owner, config.socket],
      ["cmd:1", "env:2", "f", "/h/pilot.sock"]
    )
  })

  it("a file may use - or _, numbers and booleans, and keys nobody knows (node §11)", () => {
    const config = resolved(
      file({ idle_timeout: "45s", "max-conns-total": 12, public: true, webhook: "http://x", nothing: null })
    )

    assert.deepStrictEqual(
      [Duration.toMillis(config.idleTimeout), config.maxConnsTotal, config.public],
      [45_000, 12, true]
    )
  })

  it("a value that cannot be is refused with flag, value and source", () => {
    const { flag, value, source, detail } = refused(file({ "idle-timeout": "soon" }))
    assert.deepStrictEqual([flag, value, source], ["idle-timeout", "soon", "/h/config.json"])
    assert.match(detail, /a duration from 1s/)

    const wrong = {
      listen: "nowhere",
      beacon: ":9001",
      hostname: "BAD_NAME",
      "log-level": "loud",
      keepalive: "0s",
      identity: ""
    }
    for (const [name, bad] of Object.entries(wrong))
      assert.strictEqual(refused(commandLine({ [name]: bad })).flag, name)
  })

  it("TLS to the registry needs its pin and excludes plain TCP (security rule 4)", () => {
    assert.strictEqual(refused(commandLine({ "registry-tls": "true" })).flag, "registry-tls")
    const both = commandLine({ "registry-plaintext": "true", "registry-fingerprint": FINGERPRINT })
    assert.strictEqual(refused(both).flag, "registry-plaintext")
    const pinned = resolved(
      commandLine({
        "registry-tls": true,
        "registry-fingerprint": FINGERPRINT.toUpperCase().replace(/(..)(?=.)/g, "$1:")
      })
    )
    assert.strictEqual(pinned.registryFingerprint, FINGERPRINT)
  })

  it("a rendezvous of the same state directory is used, pinned, unless a registry is named", () => {
    const rendezvous = { registry: "127.0.0.1:5", beacon: "127.0.0.1:6", fingerprint: FINGERPRINT }
    const beside = Result.getOrThrow(NodeConfig.resolve([], { ...PLACES, rendezvous }))
    const named = Result.getOrThrow(
      NodeConfig.resolve([commandLine({ registry: "other:9" })], { ...PLACES, rendezvous })
    )

    assert.deepStrictEqual(
      [beside.registry, beside.beacon, beside.registryFingerprint],
      ["127.0.0.1:5", "127.0.0.1:6", FINGERPRINT]
    )
    assert.deepStrictEqual(
      [named.registry, named.beacon, named.registryFingerprint],
      ["other:9", "127.0.0.1:9001", undefined]
    )
  })

  it.prop(
    "any values resolve or are refused by name, never throw",
    {
      values: Schema.Record(
        Schema.Literals(
          Object.keys(NodeConfig.NodeConfig.fields).map((key) => NodeConfig.flagOf(key as NodeConfig.Key))
        ),
        Schema.Union([Schema.String, Schema.Finite, Schema.Boolean, Schema.Null])
      )
    },
    ({ values }) => {
      const result = NodeConfig.resolve([commandLine(values)], PLACES)
      assert.isTrue(Result.isSuccess(result) || result.failure.flag !== "")
    }
  )
})
