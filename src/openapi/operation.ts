/** An HTTP operation as the request builder needs it: from an OpenAPI document, or from a step's method and path. */

export type ParameterLocation = 'path' | 'query' | 'header';
export type ParameterStyle =
  | 'simple'
  | 'form'
  | 'label'
  | 'matrix'
  | 'spaceDelimited'
  | 'pipeDelimited'
  | 'deepObject';

export interface Parameter {
  readonly name: string;
  readonly in: ParameterLocation;
  readonly required: boolean;
  readonly style: ParameterStyle;
  readonly explode: boolean;
}

export interface Operation {
  /** The document's operationId, or a stable one derived from method and path. */
  readonly id: string;
  /** Upper case. */
  readonly method: string;
  /** Template such as `/customers/{customer_id}/invoices`; begins with a slash. */
  readonly path: string;
  readonly summary: string | null;
  readonly parameters: readonly Parameter[];
  /** The media type that a body is sent as; null: the operation takes no body. */
  readonly body_type: string | null;
  readonly body_required: boolean;
}
