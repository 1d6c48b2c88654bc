/**
 * Cards of others, read and checked before anything else is done with them (mcp §6.11, §8 rules 6 and 7): bounded, signed by
 * the key they name, in force now, and free of characters that nobody can see, which no honest card holds.
 */
import { Result, Schema } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as PlainText from "../mcp/PlainText.ts"
import * as ToolPin from "../mcp/ToolPin.ts"
import * as Card from "./CapabilityCard.ts"

/** A card with the JSON that was signed. `signature` is base64. */
export interface SignedCard {
  readonly card: Card.CapabilityCard
  readonly object: Json.JsonObject
  readonly signature: string
}

/** Why a card is not believed. */
export class CardRefused extends Schema.TaggedError<CardRefused>()("CardRefused", {
  reason: Schema.Literals([
    "Malformed",
    "TooLarge",
    "HiddenCharacters",
    "WrongKey",
    "WrongNode",
    "BadSignature",
    "Expired",
    "RolledBack"
  ]),
  detail: Schema.String
}) {}

/** What a check needs. */
export interface Check {
  /** Ed25519; false for a malformed key or signature. */
  readonly verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean
  readonly nowSeconds: number
  /** Whose card it must be, where that is known. */
  readonly publicKey?: Uint8Array
  readonly node?: number
}

/** The card in `{ card, signature }`, if it holds. */
export const decode = (value: Json.JsonObject, check: Check): Result.Result<SignedCard, CardRefused> => {
  const object = Json.member(value, "card")
  const signature = Json.string(value, "signature")
  if (!Json.isObject(object)) return refused("Malformed", "there is no card")
  const text = ToolPin.canonical(object)
  const bytes = Bytes.fromUtf8(text)
  if (bytes.length > Card.CARD_BYTES_MAX) return refused("TooLarge", `${bytes.length} bytes`)
  if (isHiding(object)) {
    return refused("HiddenCharacters", "it holds characters that cannot be seen")
  }
  const card = read(object)
  if (card === undefined) return refused("Malformed", "a member is missing or out of bounds")
  return checked({ card, object, signature }, check)
}

/** The same card for sending. */
export const encode = ({ object, signature }: SignedCard): Json.JsonObject => ({ card: object, signature })

const checked = (signed: SignedCard, check: Check): Result.Result<SignedCard, CardRefused> => {
  const { card, object, signature } = signed
  const key = Bytes.fromBase64(card.publicKey)
  const signatureBytes = signature.length <= SIGNATURE_CHARACTERS_MAX ? Bytes.fromBase64(signature) : undefined
  if (key?.length !== KEY_BYTES) return refused("Malformed", "publicKey")
  if (check.publicKey !== undefined && !Bytes.equals(key, check.publicKey)) {
    return refused("WrongKey", "it is signed by another key than that of its node")
  }
  if (check.node !== undefined && card.node !== check.node) return refused("WrongNode", `it is of node ${card.node}`)
  // A name says whose it is: nobody may have one of somebody else.
  if (card.name !== Card.nameOf(card.publicKey, card.service)) return refused("Malformed", "name")
  if (card.issuedAt > check.nowSeconds + SKEW_SECONDS || card.expiresAt <= check.nowSeconds) {
    return refused("Expired", "it is not in force now")
  }
  if (card.expiresAt - card.issuedAt > LIFE_SECONDS_MAX) return refused("Malformed", "expiresAt")
  if (signatureBytes === undefined || !check.verify(key, Bytes.fromUtf8(Card.signedText(object)), signatureBytes)) {
    return refused("BadSignature", "the signature is not that of its key")
  }
  return Result.succeed(signed)
}

/** Every member within its bounds, or nothing. */
const read = (object: Json.JsonObject): Card.CapabilityCard | undefined => {
  const text = (name: string, charactersMax: number): string | undefined => {
    const value = Json.member(object, name)
    return typeof value === "string" && value.length <= 2 * charactersMax ? value : undefined
  }
  const count = (name: string): number | undefined => {
    const value = Json.member(object, name)
    return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined
  }
  const rows = Json.objects(object, "tools")
  const tools = rows.flatMap((row) => toolIn(row) ?? [])
  const eras = Json.strings(object, "eras")
  const parts = {
    node: count("node"),
    publicKey: text("publicKey", KEY_CHARACTERS),
    service: text("service", Card.NAME_CHARACTERS_MAX),
    name: text("name", 2 * Card.NAME_CHARACTERS_MAX),
    title: text("title", Card.TITLE_CHARACTERS_MAX),
    description: text("description", Card.DESCRIPTION_CHARACTERS_MAX),
    version: text("version", Card.TITLE_CHARACTERS_MAX),
    hash: text("hash", HASH_DIGITS),
    toolsCount: count("toolsCount"),
    sequence: count("sequence"),
    issuedAt: count("issuedAt"),
    expiresAt: count("expiresAt")
  }
  const isWhole =
    Json.member(object, "v") === 1 &&
    rows.length === Json.list(object, "tools").length &&
    tools.length === rows.length &&
    tools.length <= Card.TOOLS_MAX &&
    eras.length === Json.list(object, "eras").length &&
    eras.length <= ERAS_MAX &&
    eras.every((era) => ERA.test(era)) &&
    isNode(parts.node) &&
    SERVICE.test(parts.service ?? "") &&
    HASH.test(parts.hash ?? "") &&
    typeof Json.member(object, "isPublic") === "boolean"
  const isFull = (
    values: typeof parts
  ): values is { readonly [K in keyof typeof parts]: NonNullable<(typeof parts)[K]> } =>
    Object.values(values).every((value) => value !== undefined)
  if (!isWhole || !isFull(parts)) return undefined
  return { ...parts, eras, tools, isPublic: Json.boolean(object, "isPublic") }
}

const toolIn = (row: Json.JsonObject): Card.CardTool | undefined => {
  const parameters = Json.objects(row, "parameters").map((parameter) => ({
    name: Json.string(parameter, "name"),
    type: Json.string(parameter, "type"),
    isRequired: Json.boolean(parameter, "required")
  }))
  const tool = {
    name: Json.string(row, "name"),
    description: Json.string(row, "description"),
    parameters,
    schema: Json.string(row, "schema")
  }
  const isWhole =
    Card.TOOL_NAME.test(tool.name) &&
    tool.description.length <= 2 * Card.TOOL_DESCRIPTION_CHARACTERS_MAX &&
    parameters.length === Json.list(row, "parameters").length &&
    parameters.length <= Card.PARAMETERS_MAX &&
    parameters.every(({ name, type }) => name !== "" && name.length <= Card.NAME_CHARACTERS_MAX && type.length <= 16) &&
    HASH.test(tool.schema)
  return isWhole ? tool : undefined
}

/** Honest cards have no line ends or tabs either. */
const isHiding = (value: Json.Json): boolean => {
  if (typeof value === "string") return PlainText.clean(value).hidden > 0 || /[\n\r\t]/.test(value)
  if (Array.isArray(value)) return value.some(isHiding)
  return (
    Json.isObject(value) && Object.entries(value).some(([key, member]) => isHiding(key) || isHiding(member ?? null))
  )
}

const isNode = (node: number | undefined): boolean => node !== undefined && node > 0 && node <= 0xffff_ffff

const refused = (reason: CardRefused["reason"], detail: string): Result.Result<never, CardRefused> =>
  Result.fail(new CardRefused({ reason, detail }))

/** How far clocks may differ. */
const SKEW_SECONDS = 300
/** The longest that a card may be in force. */
export const LIFE_SECONDS_MAX = 604_800
const ERAS_MAX = 8
const ERA = /^\d{4}-\d{2}-\d{2}$/
const SERVICE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const HASH = /^[0-9a-f]{64}$/
const HASH_DIGITS = 64
const KEY_BYTES = 32
const KEY_CHARACTERS = 44
const SIGNATURE_CHARACTERS_MAX = 88
