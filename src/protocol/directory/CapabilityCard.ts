/**
 * What a node says that one of its services can do (mcp §6.11): a capability card. The node signs it with its Ed25519 key, so
 * it means the same whoever passes it on; and it stays a claim: nothing in it is believed because it is signed.
 *
 *     { "card": { "v": 1, "node": 7, "publicKey": …, "service": "files", "name": "dev.effect-pilot.<key>/files",
 *                 "title", "description", "version", "eras": ["2025-11-25"], "hash": <SHA-256 of all definitions>,
 *                 "tools": [{ "name", "description", "parameters": [{ "name", "type", "required" }], "schema": <SHA-256> }],
 *                 "toolsCount", "isPublic", "sequence", "issuedAt", "expiresAt" },
 *       "signature": base64 }
 *
 * `name`, `title`, `description` and `version` are those of the registry format `server.json`. What is signed is
 * `SIGNATURE_CONTEXT` and the RFC 8785 text of `card`, unknown members included, so that newer nodes may say more.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as PlainText from "../mcp/PlainText.ts"
import * as ToolPin from "../mcp/ToolPin.ts"

/** One argument of a tool; `type` is that of its JSON Schema, empty when it says none or several. */
export interface CardParameter {
  readonly name: string
  readonly type: string
  readonly isRequired: boolean
}

/** One tool, in short. */
export interface CardTool {
  readonly name: string
  readonly description: string
  readonly parameters: ReadonlyArray<CardParameter>
  /** SHA-256 of the RFC 8785 text of its input schema, in hexadecimal. */
  readonly schema: string
}

/** One service of one node. Times in seconds since 1970. */
export interface CapabilityCard {
  readonly node: number
  /** Ed25519, base64. */
  readonly publicKey: string
  readonly service: string
  readonly name: string
  readonly title: string
  readonly description: string
  readonly version: string
  /** Revisions of MCP that the server speaks. */
  readonly eras: ReadonlyArray<string>
  /** SHA-256 of the pinned parts of all definitions: when it changed, some tool did. */
  readonly hash: string
  /** As many as fit. */
  readonly tools: ReadonlyArray<CardTool>
  /** How many there are. */
  readonly toolsCount: number
  /** Its node gives it to the registry, for everybody. */
  readonly isPublic: boolean
  /** Grows with every card of this node and service, so that an old one cannot take the place of a newer. */
  readonly sequence: number
  readonly issuedAt: number
  readonly expiresAt: number
}

/** What a card is made of, besides what this module works out. */
export interface Source {
  readonly node: number
  readonly publicKey: string
  readonly service: string
  readonly title: string
  readonly version: string
  readonly instructions: string
  readonly eras: ReadonlyArray<string>
  /** Definitions as the server lists them, less what the card's readers may not call. */
  readonly tools: ReadonlyArray<Json.JsonObject>
  readonly isPublic: boolean
}

/** SHA-256 in lower-case hexadecimal of a text's UTF-8. */
export type Hash = (text: string) => string

/** Before the text that is signed, so that no other signature of a node is ever that of a card. */
export const SIGNATURE_CONTEXT = "effect-pilot/capability-card/v1\n"

/** The RFC 8785 text of a card at most. */
export const CARD_BYTES_MAX = 16_384
/** Tools of a card. */
export const TOOLS_MAX = 64
/** Arguments of a tool. */
export const PARAMETERS_MAX = 32
/** Characters of a title. */
export const TITLE_CHARACTERS_MAX = 100
/** Characters of what a service says of itself. */
export const DESCRIPTION_CHARACTERS_MAX = 500
/** Characters of what a tool says of itself. */
export const TOOL_DESCRIPTION_CHARACTERS_MAX = 200
/** Characters of names of tools and arguments. */
export const NAME_CHARACTERS_MAX = 128

/**
 * How a service is called everywhere: reverse DNS with one slash, and the first 128 bits of the key, so that nobody has
 * another's.
 */
export const nameOf = (publicKey: string, service: string): string =>
  `dev.effect-pilot.${Bytes.toHex(Bytes.fromBase64Lenient(publicKey) ?? new Uint8Array()).slice(0, KEY_DIGITS)}/${service}`

/** The card of a server as it is now, still without sequence and times, cut so that it fits. */
export const make = (source: Source, hash: Hash): Omit<CapabilityCard, "sequence" | "issuedAt" | "expiresAt"> => {
  const tools = source.tools
    .flatMap((definition) => toolOf(definition, hash) ?? [])
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const definitions = source.tools.flatMap((definition) => ToolPin.of(definition)?.canonical ?? []).toSorted()
  const card = {
    node: source.node,
    publicKey: source.publicKey,
    service: source.service,
    name: nameOf(source.publicKey, source.service),
    title: PlainText.line(source.title, TITLE_CHARACTERS_MAX),
    description: PlainText.line(source.instructions, DESCRIPTION_CHARACTERS_MAX),
    version: PlainText.line(source.version, VERSION_CHARACTERS_MAX),
    eras: source.eras,
    hash: hash(definitions.join("\n")),
    tools: tools.slice(0, TOOLS_MAX),
    toolsCount: tools.length,
    isPublic: source.isPublic
  }
  return fitted(card)
}

/** The card as JSON, as it is signed and sent. */
export const toObject = (card: CapabilityCard): Json.JsonObject => ({
  v: 1,
  node: card.node,
  publicKey: card.publicKey,
  service: card.service,
  name: card.name,
  title: card.title,
  description: card.description,
  version: card.version,
  eras: card.eras,
  hash: card.hash,
  tools: card.tools.map(({ description, name, parameters, schema }) => ({
    name,
    description,
    parameters: parameters.map(({ isRequired, name: parameter, type }) => ({
      name: parameter,
      ...(type === "" ? {} : { type }),
      ...(isRequired ? { required: true } : {})
    })),
    schema
  })),
  toolsCount: card.toolsCount,
  isPublic: card.isPublic,
  sequence: card.sequence,
  issuedAt: card.issuedAt,
  expiresAt: card.expiresAt
})

/** What is signed, for a card as JSON. */
export const signedText = (card: Json.JsonObject): string => `${SIGNATURE_CONTEXT}${ToolPin.canonical(card)}`

/** The arguments that a JSON Schema of an object names, in the order of their names. */
export const parametersOf = (schema: Json.JsonObject): ReadonlyArray<CardParameter> => {
  const properties = Json.member(schema, "properties")
  if (!Json.isObject(properties)) return []
  const required = new Set(Json.strings(schema, "required"))
  return Object.keys(properties)
    .filter((name) => name !== "" && name.length <= NAME_CHARACTERS_MAX && PlainText.line(name) === name)
    .toSorted()
    .slice(0, PARAMETERS_MAX)
    .map((name) => {
      const property = Json.member(properties, name)
      const type = Json.isObject(property) ? Json.string(property, "type") : ""
      return { name, type: TYPES.has(type) ? type : "", isRequired: required.has(name) }
    })
}

/** Tools whose names say something hidden, or nothing that can be called, are left out. */
const toolOf = (definition: Json.JsonObject, hash: Hash): CardTool | undefined => {
  const name = Json.string(definition, "name")
  if (!TOOL_NAME.test(name)) return undefined
  const schema = Json.member(definition, "inputSchema")
  const input = Json.isObject(schema) ? schema : {}
  return {
    name,
    description: PlainText.line(
      Json.string(definition, "description") || Json.string(definition, "title"),
      TOOL_DESCRIPTION_CHARACTERS_MAX
    ),
    parameters: parametersOf(input),
    schema: hash(ToolPin.canonical(input))
  }
}

/** Gives up descriptions of tools, then their arguments, then tools, the last ones first. */
const fitted = <C extends Omit<CapabilityCard, "sequence" | "issuedAt" | "expiresAt">>(card: C): C => {
  const steps: ReadonlyArray<(tools: ReadonlyArray<CardTool>) => ReadonlyArray<CardTool>> = [
    (tools) => tools,
    (tools) => tools.map((tool) => ({ ...tool, description: PlainText.line(tool.description, SHORT_CHARACTERS) })),
    (tools) => tools.map((tool) => ({ ...tool, description: "" })),
    (tools) => tools.map((tool) => ({ ...tool, description: "", parameters: tool.parameters.slice(0, FEW_PARAMETERS) }))
  ]
  let smallest: C = card
  for (const step of steps) {
    smallest = { ...card, tools: step(card.tools) }
    if (fits(smallest)) return smallest
  }
  while (smallest.tools.length > 0 && !fits(smallest)) smallest = { ...smallest, tools: smallest.tools.slice(0, -1) }
  return smallest
}

const fits = (card: Omit<CapabilityCard, "sequence" | "issuedAt" | "expiresAt">): boolean =>
  UTF8.encode(ToolPin.canonical(toObject({ ...card, ...LONGEST }))).length <= CARD_BYTES_MAX

/** As the specification has them (mcp §1.1), and the slash that some servers use. */
export const TOOL_NAME = /^[A-Za-z0-9_./-]{1,128}$/

/** What JSON Schema calls types. */
const TYPES: ReadonlySet<string> = new Set(["array", "boolean", "integer", "null", "number", "object", "string"])
const LONGEST = { sequence: Number.MAX_SAFE_INTEGER, issuedAt: 0xffff_ffff, expiresAt: 0xffff_ffff }
const VERSION_CHARACTERS_MAX = 64
const SHORT_CHARACTERS = 60
const FEW_PARAMETERS = 6
const KEY_DIGITS = 32
const UTF8 = new TextEncoder()
