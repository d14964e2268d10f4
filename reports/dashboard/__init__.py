"""Write a report on all builds: a folder with one HTML page that holds everything it shows."""
