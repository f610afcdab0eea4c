/** An HTTP operation as the request builder needs it: from an OpenAPI document, or from a step's method and path. */

export type ParameterLocation = 'path' | 'query' | 'header' | 'cookie';
export type ParameterStyle =
  | 'simple'
  | 'form'
  | 'label'
  | 'matrix'
  | 'spaceDelimited'
  | 'pipeDelimited'
  | 'deepObject';

/** How a value becomes text (OpenAPI 3.1 section 4.8.12.2). */
export interface Spelling {
  readonly style: ParameterStyle;
  readonly explode: boolean;
  /** Reserved characters that cannot end the value are sent as they are. */
  readonly allow_reserved: boolean;
}

export interface Parameter extends Spelling {
  /** A header's is in lower case. */
  readonly name: string;
  readonly in: ParameterLocation;
  readonly required: boolean;
  /** The media type of a parameter that the document describes by `content`; null: the style applies. */
  readonly content: string | null;
  /** False: the document says that its value is no object, so none is written as one, under names of its own. */
  readonly takes_object: boolean;
  /** The schema's default, sent when a required parameter is not given; undefined: there is none. */
  readonly default: unknown;
}

/** How a body of some media type is written. */
export type BodyKind = 'json' | 'form' | 'multipart' | 'text' | 'binary';

/** How one field of a form is written when it is not by the type of its value. */
export interface FormField {
  /** The media type of the field; null: by its value. */
  readonly content_type: string | null;
  /** null: the media type decides. */
  readonly spelling: Spelling | null;
}

export interface BodyType {
  /** In lower case, without parameters; may be a range such as `image/*`. */
  readonly media_type: string;
  readonly kind: BodyKind;
  /** Fields of a form that need more than their value to be written. */
  readonly fields: ReadonlyMap<string, FormField>;
}

export interface RequestBody {
  readonly required: boolean;
  /** The one that the gateway prefers first; never empty. */
  readonly types: readonly BodyType[];
}

export interface Operation {
  /** The document's operationId; `GET /customers/{id}` where it has none, and for a step's method and path. */
  readonly id: string;
  /** Upper case. */
  readonly method: string;
  /** Template such as `/customers/{customer_id}/invoices`; begins with a slash. */
  readonly path: string;
  /** GET or HEAD. */
  readonly safe: boolean;
  readonly summary: string | null;
  readonly description: string | null;
  readonly tags: readonly string[];
  readonly deprecated: boolean;
  /** The base URL of an operation that the document gives servers of its own; null: the document's. */
  readonly server: string | null;
  readonly parameters: readonly Parameter[];
  /** null: the operation takes no body. */
  readonly body: RequestBody | null;
  /** A step's method and path say nothing of query, headers, cookies and body: any may be given. */
  readonly literal: boolean;
  /** JSON pointer of the operation in its document; null: it is from none. */
  readonly pointer: string | null;
}
