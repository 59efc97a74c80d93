/** Line icons, 20 x 20, drawn for this page. They decorate: every control that holds one has a label of its own. */

import type { ReactNode } from "react";

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg
      className="icon"
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export const UndoIcon = () => (
  <Icon>
    <path d="M7.5 4 4 7.5l3.5 3.5M4.5 7.5h7a4.5 4.5 0 0 1 0 9H8" />
  </Icon>
);
export const RedoIcon = () => (
  <Icon>
    <path d="m12.5 4 3.5 3.5-3.5 3.5M15.5 7.5h-7a4.5 4.5 0 0 0 0 9H12" />
  </Icon>
);
export const ClearIcon = () => (
  <Icon>
    <path d="M3.5 5.5h13M8 5.5V3.750h4V5.5M5.25 5.5l.75 10.750h8l.75-10.750M8.5 8.5v5M11.5 8.5v5" />
  </Icon>
);
export const EraserIcon = () => (
  <Icon>
    <path d="m8 16.5-4.2-4.2a1.2 1.2 0 0 1 0-1.7l6.8-6.8a1.2 1.2 0 0 1 1.7 0l3.9 3.9a1.2 1.2 0 0 1 0 1.7L9.4 16.5H8ZM7 7.5l5.5 5.5M9.5 16.5h7" />
  </Icon>
);
export const PictureIcon = () => (
  <Icon>
    <rect x="3" y="4" width="14" height="12" rx="2" />
    <circle cx="7.2" cy="8" r="1.2" />
    <path d="m3.5 14 4-3.5 3 2.5 2.5-2 3.5 3" />
  </Icon>
);
export const SearchIcon = () => (
  <Icon>
    <circle cx="9" cy="9" r="5.2" />
    <path d="m13 13 3.5 3.5" />
  </Icon>
);
export const CloseIcon = () => (
  <Icon>
    <path d="m5 5 10 10M15 5 5 15" />
  </Icon>
);
export const PlusIcon = () => (
  <Icon>
    <path d="M10 4v12M4 10h12" />
  </Icon>
);
export const MinusIcon = () => (
  <Icon>
    <path d="M4.5 10h11" />
  </Icon>
);
export const FilterIcon = () => (
  <Icon>
    <path d="M3.5 6h13M6 10h8M8.5 14h3" />
  </Icon>
);
export const FolderIcon = () => (
  <Icon>
    <path d="M3 6.2c0-.9.6-1.5 1.5-1.5h3l1.7 2h6.3c.9 0 1.5.6 1.5 1.5v6c0 .9-.6 1.5-1.5 1.5h-11c-.9 0-1.5-.6-1.5-1.5v-8Z" />
  </Icon>
);
export const UploadIcon = () => (
  <Icon>
    <path d="M10 13V4M6.5 7.2 10 3.8l3.5 3.4M3.8 13v1.8c0 .9.6 1.5 1.5 1.5h9.4c.9 0 1.5-.6 1.5-1.5V13" />
  </Icon>
);
export const DownloadIcon = () => (
  <Icon>
    <path d="M10 4v9M6.5 9.8 10 13.2l3.5-3.4M3.8 13v1.8c0 .9.6 1.5 1.5 1.5h9.4c.9 0 1.5-.6 1.5-1.5V13" />
  </Icon>
);
export const LinkIcon = () => (
  <Icon>
    <path d="m8.3 11.7 3.4-3.4M9 6.4l1.6-1.6a3.25 3.25 0 0 1 4.6 4.6L13.6 11M11 13.6l-1.6 1.6a3.25 3.25 0 0 1-4.6-4.6L6.4 9" />
  </Icon>
);
export const OpenIcon = () => (
  <Icon>
    <path d="M11.5 4H16v4.5M15.5 4.5 9.5 10.5M8 4.5H5.5C4.6 4.5 4 5.1 4 6v8.5c0 .9.6 1.5 1.5 1.5H14c.9 0 1.5-.6 1.5-1.5V12" />
  </Icon>
);
export const CopyIcon = () => (
  <Icon>
    <rect x="7" y="7" width="9" height="9" rx="1.8" />
    <path d="M13 7V5.5c0-.8-.7-1.5-1.5-1.5h-6C4.7 4 4 4.7 4 5.5v6c0 .8.7 1.5 1.5 1.5H7" />
  </Icon>
);
export const CheckIcon = () => (
  <Icon>
    <path d="m4 10.5 4 4 8-9" />
  </Icon>
);
export const SimilarIcon = () => (
  <Icon>
    <rect x="3" y="3" width="9" height="9" rx="1.8" />
    <path d="M15 7.2c1.1.1 2 .9 2 2V15c0 1.1-.9 2-2 2H9.2c-1.1 0-1.9-.9-2-2" />
  </Icon>
);
export const LeftIcon = () => (
  <Icon>
    <path d="M12 4.5 6.5 10l5.5 5.5" />
  </Icon>
);
export const RightIcon = () => (
  <Icon>
    <path d="m8 4.5 5.5 5.5L8 15.5" />
  </Icon>
);
export const DownIcon = () => (
  <Icon>
    <path d="m5.5 8 4.5 4.5L14.5 8" />
  </Icon>
);
export const SunIcon = () => (
  <Icon>
    <circle cx="10" cy="10" r="3.2" />
    <path d="M10 2.8v1.6M10 15.6v1.6M2.8 10h1.6M15.6 10h1.6M4.9 4.9 6 6M14 14l1.1 1.1M15.1 4.9 14 6M6 14l-1.1 1.1" />
  </Icon>
);
export const MoonIcon = () => (
  <Icon>
    <path d="M16.2 11.9A6.7 6.7 0 0 1 8.1 3.8a6.7 6.7 0 1 0 8.1 8.1Z" />
  </Icon>
);
export const PenIcon = () => (
  <Icon>
    <path d="m4 16 .8-3.6 8-8a1.5 1.5 0 0 1 2.1 0l.7.7a1.5 1.5 0 0 1 0 2.1l-8 8L4 16ZM11.5 5.8l2.7 2.7" />
  </Icon>
);
