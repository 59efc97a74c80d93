import "./app/base.css"; // before the styles of components, which refine it
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { applyTheme } from "./app/theme";
import { beginning } from "./app/usePage";
import { preferred, setLanguage } from "./i18n";
import { queryClient } from "./server/queries";

applyTheme();
const root = document.getElementById("root");
// A language that does not come leaves the page in English rather than blank.
const spoken = setLanguage(preferred()).catch(() => setLanguage("en"));
if (root)
  void Promise.all([beginning(), spoken]).then(([start]) =>
    createRoot(root).render(
      <StrictMode>
        <QueryClientProvider client={queryClient}>
          <App start={start} />
        </QueryClientProvider>
      </StrictMode>,
    ),
  );
