"use strict";

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  filter: true,
  validatorUrl: null, // the validator is a web site; nothing here leaves the service
});
