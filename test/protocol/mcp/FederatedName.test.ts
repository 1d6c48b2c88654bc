import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as FederatedName from "../../../src/protocol/mcp/FederatedName.ts"

const hash = (text: string) => createHash("sha256").update(text).digest("hex")
const Peer = Schema.String.check(Schema.isPattern(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/))
const Service = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/))
const Target = Schema.Struct({ peer: Peer, service: Service })

const aliasOf = ({ peer, service }: typeof Target.Type) => FederatedName.alias(peer, service, hash)

describe("FederatedName", () => {
  it("is alias__tool, and says so plainly where nothing has to be changed (mcp §6.11)", () => {
    const alias = FederatedName.alias("mcp-host", "files", hash)
    assert.strictEqual(alias, "mcp-host_files")
    assert.strictEqual(FederatedName.name(alias, "read_file", hash), "mcp-host_files__read_file")
  })

  it.prop("an alias fits, holds no separator, and ends before it", { target: Target }, ({ target }) => {
    const alias = aliasOf(target)
    assert.match(alias, /^[A-Za-z0-9_-]+$/)
    assert.isAtMost(alias.length, FederatedName.ALIAS_CHARACTERS_MAX)
    assert.isTrue(FederatedName.isAlias(alias))
  })

  it.prop(
    "a name fits for any tool, and its alias is found in it",
    { target: Target, tool: Schema.String },
    ({ target, tool }) => {
      const alias = aliasOf(target)
      const name = FederatedName.name(alias, tool, hash)
      assert.match(name, /^[A-Za-z0-9_-]+$/)
      assert.isAtMost(name.length, FederatedName.NAME_CHARACTERS_MAX)
      assert.strictEqual(FederatedName.aliasIn(name), alias)
    }
  )

  it.prop(
    "two services never share a name, and two tools of one only share it if they are one",
    { a: Target, b: Target, x: Schema.String, y: Schema.String },
    ({ a, b, x, y }) => {
      const isSame = FederatedName.name(aliasOf(a), x, hash) === FederatedName.name(aliasOf(b), y, hash)
      assert.strictEqual(isSame, a.peer === b.peer && a.service === b.service && x === y)
    }
  )

  it("names that look alike stay apart: separators, dots and length in every part", () => {
    const pairs = [
      [["h", "a"], "_x"],
      [["h", "a_"], "x"],
      [["h", "a__x"], "x"],
      [["h", "a"], "x__x"],
      [["h", "a.b"], "x"],
      [["h", "a_b"], "x"],
      [["h", "a"], "b.c"],
      [["h", "a"], "b_c"],
      [["h", "a"], ""],
      [["h", "a"], "_"],
      [["h", "s".repeat(64)], "t"],
      [["h", `${"s".repeat(63)}t`], "t"],
      [["h", "a"], "t".repeat(128)],
      [["h", "a"], `${"t".repeat(127)}u`]
    ] as const
    const names = pairs.map(([[peer, service], tool]) =>
      FederatedName.name(FederatedName.alias(peer, service, hash), tool, hash)
    )
    assert.lengthOf(new Set(names), pairs.length)
  })

  it.prop(
    "a wrapped URI gives back what was wrapped, a template also when it was filled in",
    { target: Target, uri: Schema.String },
    ({ target, uri }) => {
      const alias = aliasOf(target)
      assert.deepStrictEqual(FederatedName.unwrapUri(FederatedName.wrapUri(alias, uri)), { alias, uri })
    }
  )

  it("other URIs are not unwrapped", () => {
    for (const uri of ["", "file:///a", "pilot-mcp:", "pilot-mcp://alias"])
      assert.isUndefined(FederatedName.unwrapUri(uri))
  })
})
