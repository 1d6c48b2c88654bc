/** What the conformance suite expects a server to offer: fixed names and contents, the same for both eras. */

const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
const WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="

const tool = (name: string, description: string, inputSchema: object = { type: "object", properties: {} }) => ({
  name,
  description,
  inputSchema: inputSchema as { readonly type: "object" }
})
const text = (value: string) => ({ type: "text" as const, text: value })
const strings = (...names: ReadonlyArray<string>) => ({
  type: "object",
  properties: Object.fromEntries(names.map((name) => [name, { type: "string" }])),
  required: names
})

/** Tools that answer at once with the same content. */
export const CONTENTS = {
  test_simple_text: [text("This is a simple text response for testing.")],
  test_image_content: [{ type: "image" as const, data: PNG, mimeType: "image/png" }],
  test_audio_content: [{ type: "audio" as const, data: WAV, mimeType: "audio/wav" }],
  test_embedded_resource: [
    {
      type: "resource" as const,
      resource: {
        uri: "test://embedded-resource",
        mimeType: "text/plain",
        text: "This is an embedded resource content."
      }
    }
  ],
  test_multiple_content_types: [
    text("Multiple content types test:"),
    { type: "image" as const, data: PNG, mimeType: "image/png" },
    {
      type: "resource" as const,
      resource: {
        uri: "test://mixed-content-resource",
        mimeType: "application/json",
        text: '{"test":"data","value":123}'
      }
    }
  ],
  test_header_parameter: [text("Header seen")],
  json_schema_2020_12_tool: [text("JSON Schema 2020-12 tool called")]
}

/** Whether a tool of that name answers with fixed content. */
export const isFixed = (name: string): name is keyof typeof CONTENTS => Object.hasOwn(CONTENTS, name)

/** Tools of both eras. */
export const TOOLS = [
  tool("test_simple_text", "Returns simple text"),
  tool("test_image_content", "Returns an image"),
  tool("test_audio_content", "Returns audio"),
  tool("test_embedded_resource", "Returns an embedded resource"),
  tool("test_multiple_content_types", "Returns several kinds of content"),
  tool("test_tool_with_progress", "Reports progress three times"),
  tool("test_error_handling", "Always fails"),
  tool("json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features", {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    $defs: {
      address: {
        $anchor: "addressDef",
        type: "object",
        properties: { street: { type: "string" }, city: { type: "string" } }
      }
    },
    properties: {
      name: { type: "string" },
      address: { $ref: "#/$defs/address" },
      contactMethod: { type: "string", enum: ["phone", "email"] },
      phone: { type: "string" },
      email: { type: "string" }
    },
    allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
    if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: { required: ["phone"] },
    else: { required: ["email"] },
    additionalProperties: false
  })
]

/** Tools that ask the client something, as a server of the handshake era does: by a request of its own. */
export const LEGACY_TOOLS = [
  tool("test_tool_with_logging", "Logs three times"),
  tool("test_sampling", "Asks the client's model", strings("prompt")),
  tool("test_elicitation", "Asks the client's user", strings("message")),
  tool("test_elicitation_sep1034_defaults", "Asks with defaults of every primitive type"),
  tool("test_elicitation_sep1330_enums", "Asks with every kind of enumeration"),
  tool("test_reconnection", "Closes its event stream before it answers")
]

/** Tools that ask by a result that requires input. */
export const MODERN_TOOLS = [
  tool("test_input_required_result_elicitation", "Asks for a name"),
  tool("test_input_required_result_sampling", "Asks the client's model"),
  tool("test_input_required_result_list_roots", "Asks for the client's roots"),
  tool("test_input_required_result_request_state", "Asks with a state to bring back"),
  tool("test_input_required_result_multiple_inputs", "Asks three things at once"),
  tool("test_input_required_result_multi_round", "Asks twice in turn"),
  tool("test_input_required_result_tampered_state", "Asks with a signed state"),
  tool("test_input_required_result_capabilities", "Asks only what the client can answer"),
  tool("test_streaming_elicitation", "Reports progress, then asks"),
  tool("test_header_parameter", "One argument is sent as a header, too", {
    type: "object",
    properties: { region: { type: "string", "x-mcp-header": "Region" }, query: { type: "string" } },
    required: ["region"]
  }),
  tool("test_missing_capability", "Needs a client that can sample"),
  tool("test_logging_tool", "Logs if the request wants it"),
  tool("test_trigger_tool_change", "Changes the list of tools"),
  tool("test_trigger_prompt_change", "Changes the list of prompts")
]

const object = (properties: Record<string, object>, required: ReadonlyArray<string> = []) => ({
  type: "object" as const,
  properties,
  required: [...required]
})

/** The forms that `test_elicitation…` tools ask with. */
export const FORMS = {
  test_elicitation: object(
    {
      username: { type: "string", description: "User's response" },
      email: { type: "string", description: "User's email address" }
    },
    ["username", "email"]
  ),
  test_elicitation_sep1034_defaults: object({
    name: { type: "string", default: "John Doe" },
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true }
  }),
  test_elicitation_sep1330_enums: object({
    untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
    titledSingle: {
      type: "string",
      oneOf: [
        { const: "value1", title: "First Option" },
        { const: "value2", title: "Second Option" },
        { const: "value3", title: "Third Option" }
      ]
    },
    legacyEnum: {
      type: "string",
      enum: ["opt1", "opt2", "opt3"],
      enumNames: ["Option One", "Option Two", "Option Three"]
    },
    untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
    titledMulti: {
      type: "array",
      items: {
        anyOf: [
          { const: "value1", title: "First Choice" },
          { const: "value2", title: "Second Choice" },
          { const: "value3", title: "Third Choice" }
        ]
      }
    }
  })
}

/** A form with one text field. */
export const formOf = (field: string, type = "string") => object({ [field]: { type } }, [field])

export const RESOURCES = [
  { uri: "test://static-text", name: "Static text", mimeType: "text/plain" },
  { uri: "test://static-binary", name: "Static binary", mimeType: "image/png" },
  { uri: "test://watched-resource", name: "Watched resource", mimeType: "text/plain" }
]
export const TEMPLATES = [{ uriTemplate: "test://template/{id}/data", name: "Template", mimeType: "application/json" }]

/** What a resource holds; nothing for one that does not exist. */
export const read = (uri: string) => {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1]
  if (id !== undefined)
    return {
      uri,
      mimeType: "application/json",
      text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` })
    }
  if (uri === "test://static-text")
    return { uri, mimeType: "text/plain", text: "This is the content of the static text resource." }
  if (uri === "test://static-binary") return { uri, mimeType: "image/png", blob: PNG }
  if (uri === "test://watched-resource") return { uri, mimeType: "text/plain", text: "Watched resource content." }
  return undefined
}

const argument = (name: string) => ({ name, required: true })
export const PROMPTS = [
  { name: "test_simple_prompt", description: "A simple prompt" },
  {
    name: "test_prompt_with_arguments",
    description: "With arguments",
    arguments: [argument("arg1"), argument("arg2")]
  },
  { name: "test_prompt_with_embedded_resource", description: "With a resource", arguments: [argument("resourceUri")] },
  { name: "test_prompt_with_image", description: "With an image" }
]
export const MODERN_PROMPTS = [{ name: "test_input_required_result_prompt", description: "Asks before it answers" }]

const user = <C>(content: C) => ({ role: "user" as const, content })

/** The messages of a prompt; nothing for one that does not exist. */
export const prompt = (name: string, args: Readonly<Record<string, string>>) => {
  switch (name) {
    case "test_simple_prompt":
      return [user(text("This is a simple prompt for testing."))]
    case "test_prompt_with_arguments":
      return [user(text(`Prompt with arguments: arg1='${args["arg1"]}', arg2='${args["arg2"]}'`))]
    case "test_prompt_with_embedded_resource":
      return [
        user({
          type: "resource" as const,
          resource: {
            uri: String(args["resourceUri"]),
            mimeType: "text/plain",
            text: "Embedded resource content for testing."
          }
        }),
        user(text("Please process the embedded resource above."))
      ]
    case "test_prompt_with_image":
      return [
        user({ type: "image" as const, data: PNG, mimeType: "image/png" }),
        user(text("Please analyze the image above."))
      ]
    default:
      return undefined
  }
}

/** What the tool that always fails says. */
export const FAILURE = "This tool intentionally returns an error for testing"
/** The words that completion proposes. */
export const completions = (prefix: string): Array<string> =>
  ["paris", "park", "party"].filter((word) => word.startsWith(prefix))
