"""Tools that the agent brings: plain functions, or functions that make them for a folder or a source of documents."""

from .basics import calculator, get_date
from .documents import Documents
from .folder import folder_tools
from .programs import program_tools
from .web import Metasearch, web_tools

__all__ = ["Documents", "Metasearch", "calculator", "folder_tools", "get_date", "program_tools", "web_tools"]
