Scalar.createApiReference("#reference", {
  url: "openapi.json",
  showDeveloperTools: "never",
  hideClientButton: true,
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  authentication: { preferredSecurityScheme: "bearerAuth" },
  documentDownloadType: "json",
});
