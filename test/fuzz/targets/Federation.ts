/** MCP federation: definitions of strangers, their names and templates, and what is put into their messages. */
import { createHash } from "node:crypto"
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as FederatedName from "../../../src/protocol/mcp/FederatedName.ts"
import * as MergedList from "../../../src/protocol/mcp/MergedList.ts"
import * as PlainText from "../../../src/protocol/mcp/PlainText.ts"
import * as SchemaCost from "../../../src/protocol/mcp/SchemaCost.ts"
import * as ServedDefinition from "../../../src/protocol/mcp/ServedDefinition.ts"
import * as UriTemplate from "../../../src/protocol/mcp/UriTemplate.ts"
import * as JsonEdit from "../../../src/protocol/relay/JsonEdit.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertSame } from "../Oracle.ts"

const hash = (text: string) => createHash("sha256").update(text).digest("hex")
const KINDS: ReadonlyArray<ServedDefinition.Kind> = ["tools", "prompts", "resources", "resourceTemplates"]

/** Whatever is served holds nothing hidden, is modest, and has the name that it was given. */
const served = (bytes: Uint8Array): unknown => {
  const value = Json.parseObject(Bytes.toUtf8Lossy(bytes))
  if (value === undefined) return undefined
  return KINDS.map((kind) => {
    const name = FederatedName.name("host_files", ServedDefinition.idOf(kind, value), hash)
    assertSame(FederatedName.aliasIn(name), "host_files", "another alias in a name")
    const made = ServedDefinition.make(kind, value, name, "host/files")
    if (Result.isFailure(made)) return made.failure.reason
    assertSame(ServedDefinition.idOf(kind, made.success), name, "served under another name")
    const visible = texts(made.success)
    assertSame(
      visible.filter((text) => PlainText.clean(text).hidden > 0),
      [],
      "what nobody can see is served"
    )
    return made.success
  })
}

const texts = (value: Json.Json | undefined): ReadonlyArray<string> => {
  if (typeof value === "string") return [value]
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([key, member]) => [key, ...texts(member)])
}

const counted = (bytes: Uint8Array): unknown => {
  const value = Json.parseObject(Bytes.toUtf8Lossy(bytes))
  return value === undefined
    ? undefined
    : [SchemaCost.parts(value), SchemaCost.depth(value), SchemaCost.hasOutsideReference(value)]
}

/** A template that is read matches itself with every expression filled in, whatever is filled in. */
const templated = (bytes: Uint8Array): unknown => {
  const [text = "", filler = ""] = Bytes.toUtf8Lossy(bytes).split("\n")
  const template = UriTemplate.parse(text)
  if (template === undefined) return undefined
  assertSame(UriTemplate.matches(template, template.literals.join(filler)), true, "does not match what it makes")
  const wrapped = FederatedName.unwrapUri(text)
  if (wrapped !== undefined) assertSame(FederatedName.wrapUri(wrapped.alias, wrapped.uri), text, "wrapped as another")
  return [template.literals, MergedList.page([], text)]
}

/** What was put in is there, and JSON stays JSON. */
const inserted = (bytes: Uint8Array): unknown => {
  const before = Json.parseObject(Bytes.toUtf8Lossy(bytes))
  const after = JsonEdit.set(bytes, ["params"], [["name", '"x"']])
  if (before === undefined || Bytes.toUtf8(bytes) === undefined || bytes[0] === 0xef) return undefined
  const params = Json.member(Json.parseObject(Bytes.toUtf8Lossy(after)) ?? {}, "params")
  const was = Json.member(before, "params")
  if (was !== undefined && !Json.isObject(was)) return undefined
  return Json.isObject(params) ? Json.member(params, "name") : "none"
}

/** Every format of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "mcp/ServedDefinition",
    covers: [ServedDefinition.make],
    format: "json",
    samples: () =>
      Corpus.jsons(
        {
          name: "read",
          title: "Read",
          description: "Reads\u200b",
          inputSchema: { type: "object", properties: { a: {} } }
        },
        { name: "é.b", annotations: { readOnlyHint: true }, icons: [{ src: "https://a/b.png" }], _meta: { a: 1 } },
        { uri: "demo://a/1", uriTemplate: "demo://a/{id}", name: "a", mimeType: "text/plain", size: 5 },
        { name: "p", arguments: [{ name: "a", required: true }] }
      ),
    decode: served
  }),
  Fuzzer.decoder({
    name: "mcp/SchemaCost",
    covers: [SchemaCost.parts],
    format: "json",
    samples: () =>
      Corpus.jsons(
        {
          type: "object",
          properties: { a: { $ref: "#/$defs/b" } },
          $defs: { b: { allOf: [{ $ref: "#" }, { items: {} }] } }
        },
        { $ref: "https://example.com/a", $dynamicRef: "#x" }
      ),
    decode: counted
  }),
  Fuzzer.decoder({
    name: "mcp/UriTemplate",
    covers: [UriTemplate.parse],
    samples: () => ["demo://a/{id}/b{?q}\n5", "pilot-mcp://alias/file:///{+path}\na/b", "YQBi\n"].map(Bytes.fromUtf8),
    decode: templated
  }),
  Fuzzer.decoder({
    name: "relay/JsonEdit",
    covers: [JsonEdit.set, JsonEdit.setMissing],
    format: "json",
    samples: () =>
      Corpus.jsons(
        { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "a", _meta: { b: 1 } } },
        { params: 5 },
        {}
      ),
    decode: inserted
  })
]
